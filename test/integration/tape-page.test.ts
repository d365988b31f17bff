import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { observationSource, type PageSource } from '../../src/harness/html/page-run';
import { writePage } from '../../src/harness/html/write-page';
import { Browser } from './support/browser';
import { Command } from './support/command';

const HOSTILE = '</script><img src=x onerror="document.title=1">';
const POD = { metadata: { name: HOSTILE, namespace: 'default' } };
const HEAD = {
  ...{ tape: 1, recorded: '2026-11-29T00:00:00Z', by: 'test', redacted: [] },
  upstream: { endpoint: 'unix:///run/x.sock', runtime_name: HOSTILE, runtime_version: '2.1' },
};
const LINES = [
  { n: 1, t: 0, method: 'RunPodSandbox', api: 'v1', request: { config: POD } },
  { n: 1, t: 0.5, method: 'RunPodSandbox', status: 'OK', ms: 500, response: { pod_sandbox_id: 'p' } },
  {
    ...{ n: 2, t: 1, method: 'CreateContainer', api: 'v1' },
    request: { pod_sandbox_id: 'p', config: { metadata: { name: HOSTILE }, command: ['needle'] } },
  },
  { n: 2, t: 1.1, method: 'CreateContainer', status: 'OK', ms: 100, response: { container_id: 'c' } },
  { n: 3, t: 1.2, method: 'GetContainerEvents', api: 'v1' },
  { n: 3, t: 1.5, method: 'GetContainerEvents', i: 0, message: { container_id: 'c' } },
  { n: 4, t: 2, method: 'StartContainer', api: 'v1', request: { container_id: 'c' }, deadline_ms: 2000 },
  { n: 4, t: 2, method: 'StartContainer', fault: 'hang', rule: 0 },
  { n: 4, t: 4, method: 'StartContainer', status: 'UNKNOWN', ms: 2000, by: 'client', details: HOSTILE },
  { t: 7, end: true, calls: 4, lost: 0 },
];

let directory: string;
let browser: Browser;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-tape-page-'));
  browser = await Browser.start();
});
beforeEach(() => (browser.incidents.length = 0));
afterAll(async () => {
  await browser.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Runs the command, and opens its page. */
async function opened(name: string, lines: readonly object[], size = {}): Promise<string> {
  const [tape, page] = [join(directory, `${name}.tape`), join(directory, `${name}.html`)];
  await writeFile(tape, [HEAD, ...lines].map((line) => `${JSON.stringify(line)}\n`).join(''));
  const command = new Command(['cri', 'show', tape, '--html', page]);
  expect([await command.exit(), command.stderr]).toEqual([0, '']);
  await browser.open(page, size);
  return page;
}

const text = (selector: string): Promise<string> =>
  browser.value(`document.querySelector(${JSON.stringify(selector)}).innerText`);
const focused = (): Promise<void> => browser.value(`document.querySelector('.waterfall').focus()`);
/** Types a value into a filter, and waits until the page shows this count. */
async function ask(id: string, value: string, count: string): Promise<void> {
  await browser.value(`document.getElementById('${id}').select(), document.getElementById('${id}').focus()`);
  await (value === ''
    ? browser.value(`document.querySelector('[type=reset]').click()`)
    : browser.type(value));
  await browser.until(`document.getElementById('count').textContent === ${JSON.stringify(count)}`);
}
/** Returns whether the canvas has a pixel in a colour of the style. */
const isDrawn = (name: string): Promise<boolean> =>
  browser.value(`(() => {
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.color = 'var(--${name})';
    const wanted = getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number);
    probe.remove();
    const drawn = document.querySelector('canvas');
    const copy = new OffscreenCanvas(drawn.width, drawn.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(drawn, 0, 0);
    const { data } = copy.getImageData(0, 0, drawn.width, drawn.height);
    for (let at = 0; at < data.length; at += 4)
      if (wanted.every((value, channel) => data[at + channel] === value)) return true;
    return false;
  })()`);

it('the page of a tape shows its contents, works with the keyboard alone, and escapes all text', async () => {
  const page = await opened('small', LINES);
  expect((await stat(page)).mode & 0o777).toBe(0o600);
  expect(await text('#title')).toContain(`small.tape, ${HOSTILE} 2.1, unix:///run/x.sock`);
  expect(await text('#count')).toBe('4 calls');
  for (const colour of ['call', 'failed', 'open', 'fault', 'created'])
    expect([colour, await isDrawn(colour)]).toEqual([colour, true]);

  await focused();
  await browser.press('f');
  expect(await text('#said')).toContain('StartContainer: UNKNOWN, 2000 ms');
  await browser.press('Enter');
  const details = await text('#details');
  for (const part of ['✕ UNKNOWN', 'the client', 'hang, by faults[0]', '2000 ms', '"container_id": "c"'])
    expect(details).toContain(part);
  expect(details.split(HOSTILE)).toHaveLength(4); // Its pod, its container, and the details of its status.
  await browser.press('Escape');
  expect(await browser.value(`document.getElementById('details').hidden`)).toBe(true);
  expect(await browser.value(`document.activeElement.className`)).toBe('waterfall');

  for (const key of ['p', 'Enter']) await browser.press(key);
  expect(await text('#details')).toContain('Messages (1)');

  await ask('search', 'NEEDLE', '1 of 4 calls');
  await ask('search', '', '4 calls');
  await ask('method', '*Container', '2 of 4 calls');
  await ask('slow', '1000', '1 of 4 calls');
  await browser.value(`document.getElementById('latencies').open = true`);
  expect(await text('#tables tbody')).toBe('StartContainer\t1\t1\t2000\t2000\t2000\t2000');

  expect(await browser.value(`document.querySelectorAll('img').length`)).toBe(0);
  expect(browser.incidents).toEqual([]);
});

it('an existing page is not overwritten, and errors in the tape are reported', async () => {
  const [tape, page] = [join(directory, 'cut.tape'), join(directory, 'cut.html')];
  await writeFile(tape, [HEAD, ...LINES.slice(0, -1)].map((line) => `${JSON.stringify(line)}\n`).join(''));
  const first = new Command(['cri', 'show', tape, '--html', page]);
  expect(await first.exit()).toBe(1);
  expect([first.stdout, first.stderr]).toEqual([
    `4 calls in ${page}: open it in a browser\n`,
    expect.stringContaining(`${tape}: line 10 is the last line but not the end of a tape`),
  ]);
  await browser.open(page);
  expect(await text('.told')).toContain('line 10 is the last line');

  const second = new Command(['cri', 'show', tape, '--html', page]);
  expect(await second.exit()).toBe(2);
  expect(second.stderr).toContain('EEXIST');
});

it('a click opens the call under the pointer, and the wheel zooms there', async () => {
  await opened('pointer', LINES);
  // The first row of calls, and the middle of the first call, in a run of 7 s with a margin of 2 %.
  const at = await browser.value<{ x: number; y: number }>(`(() => {
    const { left, top, width } = document.querySelector('canvas').getBoundingClientRect();
    return { x: left + 200 + (0.39 / 7.28) * (width - 200), y: top + 24 + 22 + 6 };
  })()`);
  await browser.mouse('mouseMoved', at.x, at.y, { button: 'none' });
  await browser.until(`document.querySelector('.tip').textContent.includes('RunPodSandbox: OK, 500 ms')`);
  for (let turn = 0; turn < 5; turn++)
    await browser.mouse('mouseWheel', at.x, at.y, { deltaX: 0, deltaY: -100, modifiers: 2 });
  await browser.frame();
  await browser.mouse('mousePressed', at.x, at.y);
  await browser.mouse('mouseReleased', at.x, at.y);
  await browser.until(`!document.getElementById('details').hidden`);
  expect(await text('#details h2')).toBe('RunPodSandbox');
  expect(await text('#details')).toContain('"pod_sandbox_id": "p"');
});

it('a page of two runs opens both calls of a difference, and both calls when one is selected', async () => {
  const run = (source: string, name: string): PageSource =>
    observationSource({
      ...{ source, runtime: { name, version: '1' } },
      calls: [1, 2].map((n) => ({
        ...{ n, t: n, ms: 100, method: n === 1 ? 'Version' : 'Status', request: {} },
        ...{ status: 'OK', response: { told: `${name}-${n}` } },
      })),
    });
  const page = join(directory, 'two.html');
  const template = join(__dirname, '../../dist/harness/html/tape-page.template');
  const differences = [
    { call: { a: 2, b: 2 }, path: 'told', a: 'x', b: HOSTILE, verdict: 'allowed', because: 'a reason' },
    { call: { a: 1, b: 1 }, path: 'told', a: 'y', b: 'z', verdict: 'differs' },
  ] as const;
  await writePage(page, [run('a.tape', 'one'), run('unix:///b', 'two')], differences, template);
  await browser.open(page);
  expect(await browser.value(`document.querySelectorAll('.waterfall').length`)).toBe(2);
  // Differences that no rule allows come first.
  expect(await text('#differences tbody tr:nth-child(1)')).toMatch(/✕ differs\s+Version\s+told\s+y\s+z/);
  expect(await text('#differences tbody tr:nth-child(2)')).toContain(HOSTILE);
  await browser.value(`document.querySelector('#differences tbody tr:nth-child(2) button').click()`);
  for (const part of ['one-2', 'two-2']) expect(await text('#details')).toContain(part);
  await browser.press('Escape');
  await focused();
  for (const key of ['p', 'Enter']) await browser.press(key);
  for (const part of ['one-1', 'two-1']) expect(await text('#details')).toContain(part);
  expect(browser.incidents).toEqual([]);
});

it('the page is readable in dark mode too', async () => {
  await opened('dark', LINES, { dark: true });
  expect(await browser.value(`getComputedStyle(document.body).backgroundColor`)).toBe('rgb(22, 24, 29)');
  for (const colour of ['call', 'failed', 'open'])
    expect([colour, await isDrawn(colour)]).toEqual([colour, true]);
});

it('the page draws only the visible part of 20,000 calls', async () => {
  const calls = Array.from({ length: 20_000 }, (_, n) => {
    const [t, method] = [n / 10, n % 7 === 0 ? 'ListContainers' : 'PodSandboxStatus'];
    const about = n % 7 === 0 ? {} : { pod_sandbox_id: `p${n % 100}` };
    const status = { id: `p${n % 100}`, metadata: { name: `web-${n % 100}`, namespace: 'default' } };
    const end = { n, t: t + 0.05, method, status: n === 19_999 ? 'NOT_FOUND' : 'OK', ms: 50 };
    return [
      { n, t, method, api: 'v1', request: about },
      { ...end, ...(n % 7 === 0 ? {} : { response: { status } }) },
    ];
  }).flat();
  await opened('long', [...calls, { t: 2000, end: true, calls: 20_000, lost: 0 }]);
  expect(await text('#count')).toBe('20000 calls');
  await focused();
  await browser.press('F');
  await browser.press('Enter');
  expect(await text('#details')).toContain('NOT_FOUND');
  expect(await browser.value<number>(`document.querySelectorAll('body *').length`)).toBeLessThan(600);
  // This is the time of the page's thread, so that other load on the machine does not count.
  await browser.send('Performance.enable', { timeDomain: 'threadTicks' });
  const busy = async (): Promise<number> => {
    const { metrics } = (await browser.send('Performance.getMetrics')) as {
      metrics: readonly { name: string; value: number }[];
    };
    return metrics.find(({ name }) => name === 'TaskDuration')!.value;
  };
  const before = await busy();
  for (const key of ['+', 'ArrowRight', '0', 'ArrowLeft', '+', '-']) await browser.press(key);
  expect(((await busy()) - before) / 6).toBeLessThan(0.3);

  expect(browser.incidents).toEqual([]);
}, 120_000);
