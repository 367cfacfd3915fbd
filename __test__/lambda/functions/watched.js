'use strict';
// A worker module that returns whether agent.js is loaded in its process.
exports.isWatched = () => globalThis.agentIsThere === true;
