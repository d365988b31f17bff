import { Tokens } from '../../../src/streaming/tokens';
import { thrownBy } from '../support/errors';

describe('Tokens', () => {
  let now = 0;
  const tokens = (waiting = 1000): Tokens<string> => new Tokens({ lifetimeMs: 60_000, waiting }, () => now);

  it('have 128 bits in characters that a URL path allows, and never repeat', () => {
    const issuer = tokens(2000);
    const all = new Set(Array.from({ length: 1000 }, () => issuer.issue('x')));
    expect(all.size).toBe(1000);
    for (const token of all) expect(token).toMatch(/^[\w-]{22}$/);
  });

  it('are valid once', () => {
    const issuer = tokens();
    const token = issuer.issue('a');
    expect(issuer.redeem(token)).toBe('a');
    expect(issuer.redeem(token)).toBeUndefined();
    expect(issuer.redeem('')).toBeUndefined();
  });

  it('are valid for a minute', () => {
    const issuer = tokens();
    const first = issuer.issue('a');
    const second = issuer.issue('b');
    now += 59_999;
    expect(issuer.redeem(first)).toBe('a');
    now += 1;
    expect(issuer.redeem(second)).toBeUndefined();
  });

  it('run out when too many wait, until some are used or expire', () => {
    const issuer = tokens(2);
    const first = issuer.issue('a');
    issuer.issue('b');
    expect(thrownBy(() => issuer.issue('c'))).toMatch(/^RESOURCE_EXHAUSTED /);
    issuer.redeem(first);
    issuer.issue('c');
    now += 60_000;
    issuer.issue('d');
    issuer.issue('e');
  });
});
