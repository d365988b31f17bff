/**
 * The Engine ends a terminal's stdin at a sequence of keys, ctrl-p ctrl-q unless told otherwise, and cannot be told to
 * do without one. This one is never typed: rare control keys, long enough to be no accident. The Engine holds its first
 * key back until the next one comes, so that is the one that shells, editors and telnet can best do without.
 */
export const DETACH_KEYS =
  'ctrl-^,ctrl-@,ctrl-^,ctrl-_,ctrl-^,ctrl-@,ctrl-_,ctrl-_,ctrl-^,ctrl-_,ctrl-@,ctrl-@,ctrl-_,ctrl-^,ctrl-@,ctrl-_';
