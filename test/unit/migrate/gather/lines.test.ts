import { linesOf, SEARCHES, type LineSearch } from '../../../../src/migrate/gather/lines';
import { dockerdAt } from '../../../../src/migrate/gather/gather';
import { parseClients } from '../../../../src/migrate/gather/processes';

const matches = (search: LineSearch, line: string): boolean => linesOf('/x', line, search).length > 0;
const shown = (search: LineSearch, line: string): string | undefined => linesOf('/x', line, search)[0]?.text;

describe('linesOf', () => {
  it.each([
    ['docker system prune -f', true],
    ['  /usr/bin/docker ps -q', true],
    ['ids=$(docker ps -q)', true],
    ['curl --unix-socket /var/run/docker.sock http://x/info', true],
    ['docker-compose up -d', true],
    ['Requires=docker.service', true],
    ['ListenStream=/run/docker.socket', false],
    ['image: docker.io/library/busybox', false],
    ['dockerize -wait tcp://db:5432', false],
    ['# docker ps', false],
  ])('looks for calls of docker in %s', (line, expected) => {
    expect(matches(SEARCHES.docker, line)).toBe(expected);
  });

  it.each([
    ['    Parser        docker', true],
    ['    multiline.parser  docker', true],
    ['    multiline.parser  docker, cri', false],
    ['  - docker: {}', true],
    ['  - cri: {}', false],
    ['    Docker_Mode On', true],
    ['    - /var/lib/docker/containers/*/*.log', true],
    ['    Path /var/log/containers/*.log', false],
  ])("looks for Docker's log format in %s", (line, expected) => {
    expect(matches(SEARCHES.logFormat, line)).toBe(expected);
  });

  it('numbers lines and skips binaries', () => {
    const text = 'x\ndocker ps\n';
    expect(linesOf('/a', text, SEARCHES.docker)).toEqual([{ path: '/a', line: 2, text: 'docker ps' }]);
    expect(linesOf('/a', `\0${text}`, SEARCHES.docker)).toEqual([]);
  });

  it.each([
    ['5 * * * * root docker login -u ci -p planted r.example', 'docker login'],
    ['docker run -e API=planted -v /a:/b app', 'docker run'],
    ['ids=$(/usr/bin/docker ps -q) # planted', 'docker ps'],
    ['docker -H tcp://planted:2375 ps', 'docker'],
    ['echo docker planted', 'docker'],
    ['docker-compose -f planted.yaml up', 'docker-compose'],
    ['curl -u planted --unix-socket /var/run/docker.sock http://x/info', 'docker.sock'],
    ['Requires=planted.service docker.service', 'Requires=docker.service'],
  ])('keeps of the call %s only %s', (line, expected) => {
    expect(shown(SEARCHES.docker, line)).toBe(expected);
  });

  it.each([
    ['check docker with planted "/usr/bin/docker-check -p planted"', 'docker'],
    ['  endpoint = "tcp://planted:planted@docker:2375"', 'docker'],
    ['/var/lib/docker/containers/*/*.log {', '/var/lib/docker/containers/*/*.log'],
  ])('keeps of the monitoring line %s only %s', (line, expected) => {
    expect(shown(SEARCHES.monitoring, line)).toBe(expected);
  });

  it("keeps of a log shipper's line only the setting", () => {
    expect(shown(SEARCHES.logFormat, '  Parser docker planted')).toBe('Parser docker');
  });
});

describe('parseClients', () => {
  it("finds the processes at the other end of the socket's connections", () => {
    const rows = [
      'u_str ESTAB 0 0 /run/docker.sock 11 * 12 users:(("dockerd",pid=5,fd=9))',
      'u_str ESTAB 0 0 * 12 * 11 users:(("telegraf",pid=77,fd=3))',
      'u_str ESTAB 0 0 /run/other.sock 21 * 22 users:(("other",pid=6,fd=9))',
      'u_str ESTAB 0 0 * 22 * 21 users:(("curl",pid=78,fd=3))',
    ];
    expect(parseClients(rows.join('\n'), '/var/run/docker.sock')).toEqual([{ pid: 77, name: 'telegraf' }]);
  });
});

describe('dockerdAt', () => {
  const one = { name: 'dockerd' as const, pid: 1, args: ['--host', 'unix:///a/docker.sock'] };
  const usual = { name: 'dockerd' as const, pid: 2, args: ['-H', 'fd://'] };

  it('chooses the dockerd that listens at the endpoint', () => {
    const programs = [one, usual];
    expect(dockerdAt('unix:///a/docker.sock', { programs })?.pid).toBe(1);
    expect(dockerdAt('unix:///var/run/docker.sock', { programs })?.pid).toBe(2);
    expect(dockerdAt('unix:///b/docker.sock', { programs })).toBeUndefined();
  });
});
