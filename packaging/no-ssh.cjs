'use strict';
// Replaces docker-modem's client for ssh:// addresses. dockbridge accepts no such address, and ssh2 would bring native code.
module.exports = () => {
  throw new Error('this package of dockbridge reaches no Engine over SSH');
};
