const SPACE = /\s*/y;
const STRING = /"(?:[^"\\\p{Cc}]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/uy;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)(?!\w)/y;

/**
 * Returns the offset of the first mistake in a text that is not JSON. JSON.parse does not always name the place, and its message
 * quotes the text, which may contain a secret.
 */
export function jsonMistake(text: string): number {
  let at = 0;
  const takes = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  const takesSign = (sign: string): boolean => {
    takes(SPACE);
    if (text[at] !== sign) return false;
    at++;
    return true;
  };
  const element = (isMap: boolean): boolean => {
    takes(SPACE);
    return isMap ? takes(STRING) && takesSign(':') && value() : value();
  };
  const container = (isMap: boolean): boolean => {
    const end = isMap ? '}' : ']';
    if (takesSign(end)) return true;
    do if (!element(isMap)) return false;
    while (takesSign(','));
    return takesSign(end);
  };
  const value = (): boolean => {
    if (takesSign('{')) return container(true);
    if (takesSign('[')) return container(false);
    return takes(STRING) || takes(SCALAR);
  };
  value();
  takes(SPACE);
  return at;
}
