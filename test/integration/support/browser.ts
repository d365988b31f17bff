import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}
type Parameters = Readonly<Record<string, unknown>>;

/** Debian's Chromium without a window, controlled by the DevTools protocol over two pipes. */
export class Browser {
  /** Unwanted actions of a page: requests beyond its file, console messages, exceptions. */
  readonly incidents: string[] = [];
  readonly #waiting = new Map<
    number,
    { resolve: (result: Parameters) => void; reject: (error: Error) => void }
  >();
  readonly #heard: Message[] = [];
  #listeners: (() => void)[] = [];
  #last = 0;
  #session: string | undefined;

  private constructor(
    private readonly process: ChildProcess,
    private readonly directory: string,
  ) {
    let rest = '';
    const pipe = process.stdio[4] as Readable;
    pipe.setEncoding('utf8').on('data', (text: string) => {
      const parts = `${rest}${text}`.split('\0');
      rest = parts.pop() ?? '';
      for (const part of parts) this.#hear(JSON.parse(part) as Message);
    });
    process.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the browser is gone'));
    });
  }

  static async start(): Promise<Browser> {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-browser-'));
    const flags = [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe', '--no-first-run'],
      ...['--disable-background-networking', '--disable-dev-shm-usage', `--user-data-dir=${directory}`],
    ];
    const child = spawn('chromium', flags, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    await once(child, 'spawn');
    return new Browser(child, directory);
  }

  async stop(): Promise<void> {
    const ended = once(this.process, 'exit');
    await this.#send('Browser.close', {}, undefined).catch(() => undefined);
    await ended;
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Opens a file in a new tab; resolves when it is loaded. */
  async open(file: string, { width = 1280, height = 800, dark = false } = {}): Promise<void> {
    const { targetId } = await this.#send('Target.createTarget', { url: 'about:blank' }, undefined);
    const { sessionId } = await this.#send('Target.attachToTarget', { targetId, flatten: true }, undefined);
    this.#session = sessionId as string;
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await this.send(`${domain}.enable`);
    await this.send('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: false,
    });
    const scheme = { name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' };
    await this.send('Emulation.setEmulatedMedia', { features: [scheme] });
    this.#heard.length = 0;
    await this.send('Page.navigate', { url: `file://${file}` });
    while (!this.#heard.some(({ method }) => method === 'Page.loadEventFired'))
      await new Promise<void>((resolve) => this.#listeners.push(resolve));
    await this.frame();
  }

  async send(method: string, params: Parameters = {}): Promise<Parameters> {
    return this.#send(method, params, this.#session);
  }

  /** Returns the value of an expression in the page, and awaits promises. @throws if the expression throws. */
  async value<Value>(expression: string): Promise<Value> {
    const { result, exceptionDetails } = (await this.send('Runtime.evaluate', {
      ...{ expression, awaitPromise: true, returnByValue: true },
    })) as { result: { value: Value; description?: string }; exceptionDetails?: object };
    if (exceptionDetails !== undefined) throw new Error(result.description ?? expression);
    return result.value;
  }

  /** Resolves when the page has drawn its earlier changes. */
  async frame(): Promise<void> {
    await this.value(
      'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))',
    );
  }

  /** Resolves when an expression is true. Checks after each change of the page, and each frame. */
  async until(expression: string): Promise<void> {
    while (!(await this.value<boolean>(`Boolean(${expression})`))) await this.frame();
  }

  /** Presses a key given as a character or a name such as `Enter`. */
  async press(key: string): Promise<void> {
    const text = key.length === 1 ? { text: key } : key === 'Enter' ? { text: '\r' } : {};
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', key, ...text });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', key });
    await this.frame();
  }

  async type(text: string): Promise<void> {
    await this.send('Input.insertText', { text });
  }

  /** @param kind `mousePressed`, `mouseReleased`, `mouseMoved`, `mouseWheel` */
  async mouse(kind: string, x: number, y: number, more: Parameters = {}): Promise<void> {
    await this.send('Input.dispatchMouseEvent', { type: kind, x, y, button: 'left', clickCount: 1, ...more });
  }

  /** Returns a screenshot as PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(data as string, 'base64');
  }

  async #send(method: string, params: Parameters, sessionId: string | undefined): Promise<Parameters> {
    const id = ++this.#last;
    const answer = new Promise<Parameters>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    (this.process.stdio[3] as Writable).write(
      `${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`,
    );
    return answer;
  }

  #hear(message: Message): void {
    const { id, error, result = {}, method, params = {} } = message;
    if (id !== undefined) {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error.message));
      return;
    }
    this.#heard.push(message);
    if (method === 'Network.requestWillBeSent') {
      const { url } = params.request as { url: string };
      if (!/^file:|^about:blank/.test(url)) this.incidents.push(`request: ${url}`);
    }
    if (['Runtime.consoleAPICalled', 'Runtime.exceptionThrown', 'Log.entryAdded'].includes(method ?? ''))
      this.incidents.push(`${method}: ${JSON.stringify(params)}`);
    if (method === 'Page.javascriptDialogOpening') this.incidents.push(`dialog: ${JSON.stringify(params)}`);
    for (const listener of this.#listeners) listener();
    this.#listeners = [];
  }
}
