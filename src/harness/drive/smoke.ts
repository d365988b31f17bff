/** The built-in scenario: one pod from creation to removal, with the features in which runtimes differ most often. */
export const SMOKE = `
pods:
  - metadata: { name: smoke, namespace: dockbridge-smoke, uid: dockbridge-smoke }
    hostname: smoke
    labels: { app: smoke }
    annotations: { note: of the pod }
    containers:
      - metadata: { name: server }
        image: { image: 'docker.io/library/busybox:stable' }
        command: [/bin/sh, -c]
        args: ['echo started; exec sleep 3600']
        envs: [{ key: GREETING, value: aGVsbG8= }]
        working_dir: /tmp
        labels: { tier: server }
        annotations: { note: of the container }
        mounts: [{ container_path: /data, host_path: /var/lib/smoke/data }]
        linux: { resources: { memory_limit_in_bytes: '67108864', cpu_shares: '512' } }
      - metadata: { name: job }
        image: { image: 'docker.io/library/busybox:stable' }
        command: [/bin/sh, -c, 'echo out; echo err >&2; exit 3']
steps:
  - run: smoke
  - status: smoke
  - create: smoke/server
  - status: smoke/server
  - start: smoke/server
  - status: smoke/server
    until: CONTAINER_RUNNING
  - exec: smoke/server
    cmd: [/bin/sh, -c, 'echo "$GREETING from $(pwd) of $(hostname)"']
    expect: { stdout: "hello from /tmp of smoke\\n" }
  - exec: smoke/server
    cmd: [/bin/sh, -c, 'echo wrong >&2; exit 7']
    expect: { exit_code: 7, stdout: '', stderr: "wrong\\n" }
  - create: smoke/job
  - start: smoke/job
  - status: smoke/job
    until: CONTAINER_EXITED
  - stats: smoke/server
  - stats: smoke
  - list: pods
  - list: containers
  - list: container_stats
  - stop: smoke/server
    timeout: 1
  - status: smoke/server
    until: CONTAINER_EXITED
  - remove: smoke/job
  - stop: smoke
  - status: smoke
    until: SANDBOX_NOTREADY
  - remove: smoke
  - list: pods
`;
