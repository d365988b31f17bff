import { parseLimits } from '../../../src/node/process/process-limits';

it('processLimits reads soft and hard limits by their names, with and without a unit', () => {
  const text = `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max open files            1024                 524288               files     
Max nice priority         0                    0                    
Max realtime timeout      unlimited            unlimited            us        
`;
  expect(Object.fromEntries(parseLimits(text))).toEqual({
    'Max cpu time': { soft: 'unlimited', hard: 'unlimited' },
    'Max open files': { soft: '1024', hard: '524288' },
    'Max nice priority': { soft: '0', hard: '0' },
    'Max realtime timeout': { soft: 'unlimited', hard: 'unlimited' },
  });
});

it('processLimits finds nothing in an invalid text', () => {
  expect(parseLimits('').size).toBe(0);
  expect(parseLimits('Max open files soft hard files').size).toBe(0);
});
