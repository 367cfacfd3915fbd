'use strict';
// A worker module that tells whether agent.js watches it.
exports.isWatched = () => globalThis.agentIsThere === true;
