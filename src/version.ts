/** Kept equal to package.json by a test. */
export const DOCKBRIDGE_VERSION = '0.1.0';
