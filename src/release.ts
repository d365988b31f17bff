import { join } from 'node:path';

/** The version of dockbridge. A test checks that it equals the version in package.json. */
export const DOCKBRIDGE_VERSION = '0.1.0';

/** Path of the pause image that comes with the program: dist/pause in a source tree, beside the program in a package. */
export const PAUSE_TAR = join(__dirname, 'pause', 'pause.tar');

/** Path of the program that sends signs of life to systemd (native/notify-helper). */
export const NOTIFY_HELPER = join(__dirname, 'notify-helper');

/** A built conformance suite beside the program, if somebody put it there (test/conformance/build.sh). */
export const CONFORMANCE_SUITE = join(__dirname, 'conformance');

/** The sources of the suite: there in a tree of ours, missing in a package. */
export const CONFORMANCE_SOURCES = join(__dirname, '..', 'test', 'conformance');
