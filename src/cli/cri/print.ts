/** Writes a text to stdout, and ignores EPIPE: the reader, such as `head`, has read enough. @throws any other error of stdout. */
export async function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EPIPE') resolve();
      else reject(error);
    };
    // Node.js passes the error to the callback and then also emits it.
    process.stdout.on('error', fail);
    process.stdout.write(text, (error) => {
      if (error == null) resolve();
      else fail(error);
    });
  });
}
