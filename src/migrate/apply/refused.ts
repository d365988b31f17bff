/** Nothing was done, because the plan does not fit this node or is not safe. The message says what to do. */
export class Refused extends Error {}
