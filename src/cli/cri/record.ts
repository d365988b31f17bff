import { Recording } from '../../harness/record';
import { runProxied, say, type ProxiedCommand } from './proxied';

export interface RecordCommand extends ProxiedCommand {
  readonly output: string;
}

/** `dockbridge cri record`. @returns the exit code. */
export async function record(command: RecordCommand): Promise<number> {
  const { listen, upstream, output, unsafeFull } = command;
  return runProxied('record', command, output, (logger) =>
    Recording.start({
      ...{ listen, upstream, output, logger },
      full: unsafeFull,
      warn: (text) => say('record', text),
    }),
  );
}
