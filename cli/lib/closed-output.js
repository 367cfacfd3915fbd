'use strict';

/**
 * Whether writing failed because whoever read the output has closed it (`| head -1`, a terminal that is gone).
 * @param {unknown} error
 */
function isClosed(error) {
  return ['EPIPE', 'EIO', 'ERR_STREAM_DESTROYED'].includes(/** @type {NodeJS.ErrnoException} */ (error).code ?? '');
}

module.exports = { isClosed };
