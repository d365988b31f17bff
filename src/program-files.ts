import { join } from 'node:path';

/** The pause image that comes with the program: dist/pause in a tree, beside the program in a package. */
export const PAUSE_TAR = join(__dirname, 'pause', 'pause.tar');
