/** Whether two endpoints, each `unix:///path` or a path, are one socket by different names: /var/run is a link to /run. */
export function isSameSocket(one: string, other: string): boolean {
  return socketPath(one) === socketPath(other);
}

/** The path of `unix:///path`. */
export function socketPath(endpoint: string): string {
  return endpoint.replace(/^unix:\/\//, '').replace(/^\/var\/run\//, '/run/');
}
