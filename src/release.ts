import { join } from 'node:path';

/** The version of dockbridge. A test checks that it equals the version in package.json. */
export const DOCKBRIDGE_VERSION = '0.1.0';

/** Path of the pause image that comes with the program: dist/pause in a source tree, next to the program in a package. */
export const PAUSE_TAR = join(__dirname, 'pause', 'pause.tar');

/** Path of the program that sends signs of life to systemd (native/notify-helper). */
export const NOTIFY_HELPER = join(__dirname, 'notify-helper');

/**
 * The directory of a built conformance suite next to the program. It exists only if somebody has put a suite there
 * (test/conformance/build.sh).
 */
export const CONFORMANCE_SUITE = join(__dirname, 'conformance');

/** The directory of the suite's sources. It exists in a source tree but not in a package. */
export const CONFORMANCE_SOURCES = join(__dirname, '..', 'test', 'conformance');
