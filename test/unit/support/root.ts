/** Whether this process may mount, make devices and give files away. */
export const IS_ROOT = process.getuid?.() === 0;

/** `it` and `describe` for what only root can arrange; an ordinary user's run counts them as skipped. CI runs as root. */
export const asRoot: jest.It = IS_ROOT ? it : it.skip;
export const describeAsRoot: jest.Describe = IS_ROOT ? describe : describe.skip;
