// Loaded before the proxy: an answer that breaks off in the middle, because the server behind the proxy died,
// is broken off for the client too. The proxy would leave the client waiting for ever. And no answer of a
// person's server gives its service worker more than its own folder: one for `/` would stand between every
// visitor and the hub, and see all that they do there.
'use strict';
const { IncomingMessage, ServerResponse } = require('node:http');

const pipe = IncomingMessage.prototype.pipe;

IncomingMessage.prototype.pipe = function (target, ...options) {
  if (target instanceof ServerResponse) {
    this.once('error', () => target.destroy());
    this.once('close', () => {
      if (!this.complete) {
        target.destroy();
      }
    });
  }
  return pipe.call(this, target, ...options);
};

const setHeader = ServerResponse.prototype.setHeader;

ServerResponse.prototype.setHeader = function (name, value) {
  return String(name).toLowerCase() === 'service-worker-allowed' ? this : setHeader.call(this, name, value);
};
