import { rowOf, SETTING_ROWS } from '../../../../src/migrate/mapping/table';
import { outcomesOf } from '../../../../src/migrate/mapping/setting-findings';
import { daemonJson, dockerdKeys } from './dockerd-keys';
import { engineSettings } from '../../../../src/migrate/mapping/setting';
import { settingFindings } from '../../../../src/migrate/mapping/setting-findings';

const KEYS = dockerdKeys();

describe('the table of settings', () => {
  it.each(KEYS.map(({ path, sample }) => [path.join('.'), path, sample] as const))(
    'knows %s of dockerd',
    (_, path, sample) => {
      const row = rowOf(path);
      expect(row).toBeDefined();
      const { containerd, 'cri-o': crio } = row!.outcomes(sample);
      for (const outcome of [containerd, crio]) {
        expect(outcome.becomes).toMatch(/^[a-z].*[^.]$/);
        // Whatever a person has to do must be said.
        if (outcome.severity !== 'ok' && !outcome.isPlanned) expect(outcome.advice).toMatch(/^[A-Z].*\.$/);
        if (outcome.isPlanned) expect(outcome.severity).toBe('change');
      }
    },
  );

  it('has no row for a key that dockerd does not have', () => {
    const used = new Set(KEYS.map(({ path }) => rowOf(path)?.key));
    const open = ['features.*', 'builder.gc', 'builder.entitlements', 'builder.history'];
    expect(SETTING_ROWS.map(({ key }) => key).filter((key) => !used.has(key) && !open.includes(key))).toEqual(
      [],
    );
  });

  it('has only one row for each key', () => {
    const keys = SETTING_ROWS.map(({ key }) => key);
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
  });

  it.each(KEYS.map(({ path, sample }) => [path.join('.'), path, sample] as const))(
    'has %s as one setting, with its line in daemon.json',
    (_, path, sample) => {
      const text = daemonJson(path, sample);
      expect(engineSettings({ file: { path: '/d.json', text } }).settings).toEqual([
        { path, value: sample, where: `/d.json:${path.length + 1}` },
      ]);
      const [finding, ...more] = settingFindings({ file: { path: '/d.json', text } });
      expect(more).toEqual([]);
      expect(finding!.id).toBe(`setting-${rowOf(path)!.key.replaceAll('.*', '')}`);
    },
  );

  it.each(['', 0, null, [], {}])('treats the value %j as not set', (value) => {
    const row = rowOf(['registry-mirrors'])!;
    expect(outcomesOf(row, value)['cri-o'].severity).toBe('ok');
  });
});
