'use strict';
// Replaces docker-modem's client for ssh:// addresses. dockbridge accepts no such addresses, and ssh2 contains native code.
module.exports = () => {
  throw new Error('this package of dockbridge cannot reach an Engine over SSH');
};
