// Loaded before the proxy: an answer that breaks off in the middle, because the server behind the proxy died,
// is broken off for the client too. The proxy would leave the client waiting for ever.
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
