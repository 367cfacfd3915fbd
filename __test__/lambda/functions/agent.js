'use strict';
// Stands in for a monitoring agent that NODE_OPTIONS loads into a process.
globalThis.agentIsThere = true;
