import { answersFor, usedImages, type Client } from '../../../../src/migrate/verify/static-side';

const ID = `sha256:${'a'.repeat(64)}`;
const DIGEST = `sha256:${'d'.repeat(64)}`;
const SHOP = {
  id: ID,
  repo_tags: ['docker.io/shop/web:1'],
  repo_digests: [`docker.io/shop/web@${DIGEST}`],
};

interface Used {
  readonly image: string;
  readonly user_specified_image?: string;
}

function client(containers: readonly Used[], images: Readonly<Record<string, object>>): Client {
  const answers: Readonly<Record<string, (request: never) => object>> = {
    ListPodSandbox: () => ({ items: [{ id: 'p1', metadata: { namespace: 'shop', name: 'web-0' } }] }),
    ListContainers: () => ({
      containers: containers.map(({ image, user_specified_image = '' }, at) => ({
        image: { image, user_specified_image },
        metadata: { name: `c${at}` },
        pod_sandbox_id: 'p1',
      })),
    }),
    ImageStatus: ({ image }: { image: { image: string } }) => ({ image: images[image.image] ?? null }),
  };
  return {
    call: async (method: string, request: object) =>
      Promise.resolve(answers[method]?.(request as never) ?? {}),
  } as unknown as Client;
}

describe('usedImages', () => {
  it('asks once for each name that pods use, and names the containers', async () => {
    const twice = { image: ID, user_specified_image: 'shop/web:1' };
    expect(await usedImages(client([twice, twice], { 'shop/web:1': SHOP }))).toEqual([
      {
        ...{ name: 'shop/web:1', id: ID, digests: [DIGEST] },
        containers: ['shop/web-0/c0', 'shop/web-0/c1'],
      },
    ]);
  });

  it('gives an image that containers name by its id one of its names', async () => {
    const [image] = await usedImages(client([{ image: ID }], { [ID]: SHOP }));
    expect(image?.name).toBe('docker.io/shop/web:1');
    const byDigest = await usedImages(client([{ image: ID }], { [ID]: { ...SHOP, repo_tags: [] } }));
    expect(byDigest[0]?.name).toBe(`docker.io/shop/web@${DIGEST}`);
  });

  it('leaves out an image that is gone', async () => {
    expect(await usedImages(client([{ image: 'gone:1' }], {}))).toEqual([]);
  });
});

it('answersFor has no entry for an image that the runtime lacks', async () => {
  const answers = await answersFor(client([], { 'shop/web:1': SHOP }), ['shop/web:1', 'gone:1']);
  expect([...answers]).toEqual([['shop/web:1', { name: 'shop/web:1', id: ID, digests: [DIGEST] }]]);
});
