import { join } from 'node:path';

/** Kept equal to package.json by a test. */
export const DOCKBRIDGE_VERSION = '0.1.0';

/** The pause image that comes with the program: dist/pause in a tree, beside the program in a package. */
export const PAUSE_TAR = join(__dirname, 'pause', 'pause.tar');

/** The program that sends signs of life to systemd (native/notify-helper). */
export const NOTIFY_HELPER = join(__dirname, 'notify-helper');
