/** The program of an installed plugin, for plugins.test.ts. It behaves as its configuration says. */
import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Decoded } from '../../../src/proto';
import type { nri } from '../../../src/proto/nri';
import { FakePlugin } from './fake-plugin';

const plugin = new FakePlugin(new Socket({ fd: Number(process.env.NRI_PLUGIN_SOCKET) }), {
  Configure: ({ config }: Decoded<nri.IConfigureRequest>) => {
    writeFileSync(
      config,
      JSON.stringify({
        pid: process.pid,
        variables: Object.keys(process.env)
          .filter((name) => name.startsWith('NRI_'))
          .sort(),
        directory: process.cwd(),
      }),
    );
    return {};
  },
  Shutdown: () => ({}),
  RunPodSandbox: () => process.exit(3),
});
void plugin
  .register(process.env.NRI_PLUGIN_NAME ?? '', process.env.NRI_PLUGIN_IDX ?? '')
  .catch(() => process.exit(1));
void plugin.mux.closed.then(() => process.exit(0));
