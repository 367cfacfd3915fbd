'use strict';
// Stands in for an agent that NODE_OPTIONS loads into a process to watch it.
globalThis.agentIsThere = true;
