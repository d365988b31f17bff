'use strict';
// Replaces ssh2, which docker-modem loads for ssh:// addresses. dockbridge accepts no such addresses, and ssh2 contains native code.
class Client {
  constructor() {
    throw new Error('this package of dockbridge cannot reach an Engine over SSH');
  }
}
module.exports = { Client };
