'use strict';

/**
 * The library that this command is for. In a checkout that is the one next to it; when this package is packed, what is
 * required from outside of it becomes a dependency, or is bundled in (see scripts/pack-cli.js).
 */

module.exports = require('../../index.js');
