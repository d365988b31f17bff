import type { LogDisk } from './log-disk';
import type { WorkMarker } from './work-marker';

/** A disk that a worker cannot change any more once another has taken over. */
export function dismissibleDisk(disk: LogDisk, marker: WorkMarker): LogDisk {
  const checked = (): LogDisk => {
    marker.throwIfDismissed();
    return disk;
  };
  return {
    ...disk,
    openAppend: (path) => checked().openAppend(path),
    write: (fd, from, offset, length) => checked().write(fd, from, offset, length),
    truncate: (fd, size) => checked().truncate(fd, size),
    rename: (from, to) => checked().rename(from, to),
    remove: (path) => checked().remove(path),
    replace: (path, text) => checked().replace(path, text),
  };
}
