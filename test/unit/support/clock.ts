/**
 * Sets the wall clock back by hours until `restore`, as an administrator or a first NTP answer may do. The
 * clock keeps running.
 */
export function setClockBack(hours = 3): { restore(): void } {
  const real = Date.now.bind(Date);
  const spy = jest.spyOn(Date, 'now').mockImplementation(() => real() - hours * 3_600_000);
  return { restore: () => spy.mockRestore() };
}
