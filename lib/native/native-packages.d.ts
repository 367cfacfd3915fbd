// What `native.js` may load, whether or not it is there while types are checked. Not part of the package.

declare module '*.node' {
  const addon: typeof import('../../native');
  export = addon;
}

declare module '@parallelizer/node-*' {
  const addon: typeof import('../../native');
  export = addon;
}
