/** Resolves when the text is written, or when its reader has enough, as `head` has. @throws any other error of the output. */
export async function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EPIPE') resolve();
      else reject(error);
    };
    // Node passes the error to the callback, and then emits it too.
    process.stdout.on('error', fail);
    process.stdout.write(text, (error) => {
      if (error == null) resolve();
      else fail(error);
    });
  });
}
