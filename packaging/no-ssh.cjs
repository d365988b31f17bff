'use strict';
// Stands for ssh2, which docker-modem loads for ssh:// addresses: dockbridge takes none, and ssh2 brings native code.
class Client {
  constructor() {
    throw new Error('this package of dockbridge reaches no Engine over SSH');
  }
}
module.exports = { Client };
