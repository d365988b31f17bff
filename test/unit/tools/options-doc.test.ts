import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { environmentName, OPTIONS } from '../../../src/config/options';
import { renderOptionsDoc } from '../../../tools/docs/options-doc';

const FILE = join(__dirname, '../../../docs/options.md');

describe('docs/options.md', () => {
  it('is made from the option table (if it differs, run make docs)', () => {
    expect(readFileSync(FILE, 'utf8')).toBe(renderOptionsDoc());
  });

  it.each(Object.values(OPTIONS))('documents --$name completely', (option) => {
    const row = renderOptionsDoc()
      .split('\n')
      .find((line) => line.includes(`\`--${option.name}`) && line.includes(option.help));
    expect(row).toContain(`\`${environmentName(option.name)}\``);
    expect(row).toContain(` \`${option.name}\` `);
    if (!('ignored' in option)) expect(row).toContain(option.reload === 'live' ? '**live**' : 'restart');
    expect(row).toContain(option.fallback);
    if ('ignored' in option) expect(row).toContain(option.ignored);
  });
});
