import { randomBytes } from 'node:crypto';
import { RuntimeError } from '../lib/errors';

const TOKEN_BYTES = 16;

export interface TokenLimits {
  readonly lifetimeMs: number;
  readonly waiting: number;
}

export const TOKEN_LIMITS: TokenLimits = { lifetimeMs: 60_000, waiting: 1000 };

/** Values that a client can redeem once, within a limited time, with an unguessable token. */
export class Tokens<T> {
  /** Values in the order of their issue, which a Map keeps and which is also the order of their expiry. */
  private readonly waiting = new Map<string, { readonly value: T; readonly expires: number }>();

  constructor(
    private readonly limits: TokenLimits = TOKEN_LIMITS,
    /** A monotonic clock in ms. */
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * Stores a value and returns its token.
   * @throws RESOURCE_EXHAUSTED if too many tokens wait to be used.
   */
  issue(value: T): string {
    this.dropExpired();
    if (this.waiting.size >= this.limits.waiting) {
      throw new RuntimeError(
        'RESOURCE_EXHAUSTED',
        `${this.waiting.size} streaming requests wait for their clients; try again in a minute`,
      );
    }
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    this.waiting.set(token, { value, expires: this.now() + this.limits.lifetimeMs });
    return token;
  }

  /** @returns undefined for a token that is wrong, was used or has expired. */
  redeem(token: string): T | undefined {
    this.dropExpired();
    const found = this.waiting.get(token);
    this.waiting.delete(token);
    return found?.value;
  }

  private dropExpired(): void {
    const now = this.now();
    for (const [token, { expires }] of this.waiting) {
      if (expires > now) return;
      this.waiting.delete(token);
    }
  }
}
