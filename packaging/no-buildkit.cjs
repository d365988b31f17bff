'use strict';
// Replaces dockerode's code for BuildKit, which needs a protobufjs of its own. dockbridge builds no images.
module.exports = () => {
  throw new Error('this package of dockbridge has no BuildKit');
};
