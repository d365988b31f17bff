import { readConfigText, renderDefaultFile } from '../../../src/config/config-yaml';
import { OPTIONS, resolveSettings, type Option } from '../../../src/config/options';

describe('the default file', () => {
  const text = renderDefaultFile();

  it('sets nothing, and its lines fit a terminal', () => {
    expect(readConfigText('f', text)).toEqual({ values: {}, faults: [] });
    expect(text.split('\n').filter((line) => line.length > 101)).toEqual([]);
  });

  it('contains each option, and each line shows the default once its "#" is removed', () => {
    const names = Object.values<Option<unknown>>(OPTIONS).map(({ name }) => name);
    const taken = text.replace(/^#(?=[a-z])/gm, '');
    const { values, faults } = readConfigText('f', taken);
    expect(faults).toEqual([]);
    expect(Object.keys(values).sort()).toEqual([...names].sort());
    expect(resolveSettings({}, {}, values)).toEqual(resolveSettings({}, {}));
  });

  it('says which options a reload applies', () => {
    const live = [...text.matchAll(/A\s(?:# )?reload\s(?:# )?applies\s(?:# )?it\.\n#([a-z-]+):/g)].map(
      ([, name]) => name,
    );
    const declared = Object.values<Option<unknown>>(OPTIONS).filter(({ reload }) => reload === 'live');
    expect(live).toEqual(declared.map(({ name }) => name));
  });
});
