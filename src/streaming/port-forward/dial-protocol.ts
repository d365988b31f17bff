/** Between NetnsDialer and its helper, over Node's IPC channel. */
export interface DialRequest {
  readonly id: number;
  readonly port: number;
}

/** Without `error`, the connected socket comes along as a handle. */
export interface DialReply {
  readonly id: number;
  readonly error?: string;
}
