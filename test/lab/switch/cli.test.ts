import assert from 'node:assert/strict';
import { LabSwitch } from '../../../lab/switch/index.ts';
import type { LabSwitchOptions } from '../../../lab/switch/index.ts';
import { Terminal } from './terminal.ts';

describe('lab switch: command line over SSH', () => {
  const labs: LabSwitch[] = [];
  const terminals: Terminal[] = [];

  async function start(
    options: Partial<LabSwitchOptions> = {},
  ): Promise<{ lab: LabSwitch; terminal: Terminal }> {
    const lab = await LabSwitch.start({
      name: 'tor-a',
      ports: ['Te 1/1-1/8'],
      username: 'admin',
      password: 'pw',
      terminalLength: 0,
      ...options,
    });
    labs.push(lab);
    const terminal = await Terminal.open(lab);
    terminals.push(terminal);
    await terminal.until(/tor-a[>#$]$/);
    return { lab, terminal };
  }

  afterEach(async () => {
    for (const terminal of terminals.splice(0)) await terminal.close();
    for (const lab of labs.splice(0)) await lab.stop();
  });

  it('has the exact prompt of every mode', async () => {
    const { terminal } = await start({ privilege: 1, uplinks: ['Te 1/47'] });
    const steps: [string, string][] = [
      ['', 'tor-a>'],
      ['enable', 'tor-a#'],
      ['conf t', 'tor-a(conf)#'],
      ['interface vlan 100', 'tor-a(conf-if-vl-100)#'],
      ['int te 1/1', 'tor-a(conf-if-te-1/1)#'],
      ['interface port-channel 3', 'tor-a(conf-if-po-3)#'],
      ['interface range te 1/1-1/4', 'tor-a(conf-if-range-te-1/1-1/4)#'],
      ['exit', 'tor-a(conf)#'],
      ['interface vlan100', 'tor-a(conf-if-vl-100)#'],
      ['end', 'tor-a#'],
      ['configure', 'tor-a(conf)#'],
      ['exit', 'tor-a#'],
      ['disable', 'tor-a>'],
    ];
    for (const [line, prompt] of steps) assert.equal(await terminal.promptAfter(line), prompt, line);
  });

  it('knows the prompts of other firmware', async () => {
    const { terminal } = await start({
      privilege: 1,
      knobs: { execMark: '$', portPrompt: 'plain', endKeepsPrivilege: false },
    });
    assert.equal(await terminal.promptAfter(''), 'tor-a$');
    await terminal.type('enable');
    await terminal.type('configure');
    assert.equal(await terminal.promptAfter('interface te 1/1'), 'tor-a(conf-if)#');
    assert.equal(await terminal.promptAfter('end'), 'tor-a$');
  });

  it('asks for the enable secret, without echo, and refuses a wrong one', async () => {
    const { lab, terminal } = await start({ privilege: 1, enableSecret: 'sesame' });
    terminal.send('enable\n');
    await terminal.until(/Password: $/);
    terminal.send('wrong\n');
    assert.match(await terminal.until(/tor-a>$/), /^\r\n% Bad secret\r\ntor-a>$/);
    terminal.send('enable\n');
    await terminal.until(/Password: $/);
    terminal.send('sesame\n');
    assert.equal(await terminal.until(/tor-a#$/), '\r\ntor-a#');
    assert.doesNotMatch(JSON.stringify(lab.transcript.entries), /sesame|wrong/);
  });

  it('points at what it does not understand', async () => {
    const { terminal } = await start();
    assert.equal(
      await terminal.type('show vlun'),
      ['           ^', '% Error: Invalid input at "^" marker.'].join('\n'),
    );
    assert.equal(await terminal.type('show'), '% Error: Incomplete command.');
    assert.match(await terminal.type('e'), /^% Error: Ambiguous command/);
    assert.match(await terminal.type('interface vlan 10'), /Invalid input/, 'not in this mode');
    await terminal.type('configure');
    assert.match(await terminal.type('interface vlan 4095'), /Invalid input/);
    assert.match(await terminal.type('interface te 9/9'), /^% Error: No such interface/);
  });

  it('moves a port, shows it, and saves it', async () => {
    const { lab, terminal } = await start({ uplinks: ['Te 1/47'], uplinkVlans: [200] });
    for (const line of [
      'conf',
      'interface vlan 100',
      'description acs tenant 100',
      'unt te 1/1',
      'no shut',
      'end',
    ])
      assert.equal(await terminal.type(line), '', line);
    for (const line of ['conf', 'int vlan 200', 'tagged TenGigabitEthernet 1/1', 'end'])
      assert.equal(await terminal.type(line), '', line);
    assert.deepEqual(lab.model.effective('Te 1/1'), { native: 100, tagged: [200], up: true });
    assert.equal(
      (await terminal.type('show vlan')).split('\n').slice(-5).join('\n'),
      [
        '    NUM    Status    Description                     Q Ports',
        '*   1      Active                                    U Te 1/2-1/8,1/47',
        '    100    Active    acs tenant 100                  U Te 1/1',
        '    200    Active                                    T Te 1/1,1/47',
      ]
        .join('\n')
        .replace(/^/, '\n'),
    );
    assert.equal(
      await terminal.type('show running-config interface vlan 100'),
      [
        '!',
        'interface Vlan 100',
        ' description acs tenant 100',
        ' no ip address',
        ' untagged TenGigabitEthernet 1/1',
        ' no shutdown',
      ].join('\n'),
    );
    assert.equal(
      await terminal.type('show running-config interface te 1/1'),
      [
        '!',
        'interface TenGigabitEthernet 1/1',
        ' no ip address',
        ' portmode hybrid',
        ' switchport',
        ' no shutdown',
      ].join('\n'),
    );
    // dell-force10, spec/fixtures/show_interfaces_switchport/tagged_and_untagged.out, with our names.
    assert.equal(
      (await terminal.type('show interfaces switchport te 1/1')).split('\n').slice(6).join('\n'),
      [
        'Name: TenGigabitEthernet 1/1',
        '802.1QTagged: Hybrid',
        'Vlan membership:',
        'Q       Vlans',
        'U       100',
        'T       200',
        '',
        'Native VlanId:    100.',
        '',
        '',
        '',
      ].join('\n'),
    );
    assert.equal(lab.model.saved, false);
    assert.equal(await terminal.type('write memory'), '!');
    assert.equal(lab.model.saved, true);
  });

  it('writes the rows of a recorded show vlan', async () => {
    // ntc-templates, tests/dell_force10/show_vlan/dell_force10_show_vlan_1.raw, VLANs 100 and 330.
    const { terminal } = await start({ ports: ['Te 0/30-45', 'Fo 0/52'], knobs: { rangeGrammar: 'old' } });
    for (const line of [
      'conf',
      'interface vlan 330',
      'description tagged example',
      'tagged te 0/30,35-37',
      'untagged te 0/31-34,38-39',
      'interface vlan 100',
      'description pixelrebel is awesome',
      'tagged te 0/30',
      'untagged te 0/40-41,44',
      'untagged fo 0/52',
      'end',
    ])
      assert.equal(await terminal.type(line), '', line);
    const rows = (await terminal.type('show vlan')).split('\n').slice(-5);
    assert.deepEqual(rows, [
      '    100    Active    pixelrebel is awesome           T Te 0/30',
      '                                                     U Te 0/40-41,44',
      '                                                     U Fo 0/52',
      '    330    Active    tagged example                  T Te 0/30,35-37',
      '                                                     U Te 0/31-34,38-39',
    ]);
  });

  it('shows port-channels with their members, and wraps long lists', async () => {
    const { terminal } = await start({
      ports: ['Te 1/1,1/3,1/5,1/7,1/9,1/11,1/13,1/15', 'Te 1/47-1/48'],
      prepared: false,
    });
    for (const line of [
      'conf',
      'interface port-channel 1',
      'channel-member te 1/47-1/48',
      'switchport',
      'no shutdown',
      'interface range te 1/1,1/3,1/5,1/7,1/9,1/11,1/13,1/15',
      'switchport',
      'interface vlan 100',
      'tagged po 1',
      'untagged te 1/1,1/3,1/5,1/7,1/9,1/11,1/13,1/15',
      'end',
    ])
      assert.equal(await terminal.type(line), '', line);
    assert.deepEqual((await terminal.type('show vlan id 100')).split('\n').slice(-3), [
      '    100    Inactive                                  T Po1(Te 1/47,1/48)',
      '                                                     U Te 1/1,1/3,1/5,1/7,1/9',
      '                                                     U Te 1/11,1/13,1/15',
    ]);
    assert.match(
      await terminal.type('show running-config interface port-channel 1'),
      /interface Port-channel 1\n no ip address\n switchport\n channel-member TenGigabitEthernet 1\/47,1\/48\n no shutdown$/,
    );
  });

  it('prepares a port only in the right order', async () => {
    const { lab, terminal } = await start({ prepared: false });
    await terminal.type('conf');
    await terminal.type('interface te 1/1');
    await terminal.type('switchport');
    assert.equal(await terminal.type('portmode hybrid'), '% Error: Port is in Layer-2 mode Te 1/1.');
    for (const line of [
      'no switchport',
      'portmode hybrid',
      'switchport',
      'spanning-tree rstp edge-port',
      'no shutdown',
    ])
      assert.equal(await terminal.type(line), '', line);
    assert.equal(
      await terminal.type('show config'),
      [
        '!',
        'interface TenGigabitEthernet 1/1',
        ' no ip address',
        ' portmode hybrid',
        ' switchport',
        ' spanning-tree rstp edge-port',
        ' no shutdown',
      ].join('\n'),
    );
    assert.deepEqual(lab.model.effective('Te 1/1'), { native: 1, tagged: [], up: true });
  });

  it('leaves a LAG member alone', async () => {
    const { terminal } = await start({ ports: ['Te 0/9'], prepared: false });
    for (const line of [
      'conf',
      'interface te 0/9',
      'port-channel-protocol LACP',
      'port-channel 1 mode active',
    ])
      assert.equal(await terminal.type(line), '', line);
    await terminal.type('interface vlan 5');
    assert.equal(await terminal.type('untagged te 0/9'), 'Error : Te 0/9 is in Layer 2 LAG');
    assert.match(
      await terminal.type('do show running-config interface te 0/9'),
      / port-channel-protocol LACP\n {2}port-channel 1 mode active\n/,
    );
  });

  it('a refused port in a list stops it, or undoes it, as the knob says', async () => {
    for (const [refusedList, native] of [
      ['partial', 100],
      ['atomic', 1],
    ] as const) {
      const { lab, terminal } = await start({ knobs: { refusedList } });
      await terminal.type('conf');
      await terminal.type('interface vlan 100');
      assert.match(await terminal.type('untagged te 1/1,1/99'), /No such interface/);
      assert.equal(lab.model.effective('Te 1/1').native, native);
    }
  });

  it('copy asks, and refuses what Netmiko and others type wrongly', async () => {
    const { lab, terminal } = await start();
    await terminal.type('conf');
    await terminal.type('interface vlan 100');
    await terminal.type('end');
    assert.equal(
      await terminal.type('copy running-configuration startup-configuration'),
      '% Error: The source file does not exist.',
    );
    terminal.send('copy running-config startup-config\n');
    await terminal.until(/\[confirm yes\/no\]: $/);
    await terminal.type('no');
    assert.equal(lab.model.saved, false);
    terminal.send('copy run start\n');
    await terminal.until(/\[confirm yes\/no\]: $/);
    assert.match(await terminal.type('yes'), /bytes successfully copied/);
    assert.equal(lab.model.saved, true);
  });

  it('shows a whole configuration that says what is running, and when and by whom it changed', async () => {
    const { terminal } = await start({ defaultVlan: 99 });
    const before = await terminal.type('show running-config');
    assert.match(before, /^Current Configuration \.\.\.\n! Version 9\.14\(2\.12\)\n/);
    assert.match(before, /\nhostname tor-a\n/);
    assert.match(before, /\ndefault vlan-id 99\n/);
    assert.match(
      before,
      /\ninterface Vlan 99\n no ip address\n!untagged TenGigabitEthernet 1\/1-1\/8\n no shutdown\n/,
    );
    assert.match(before, /\nusername admin password 7 0+ privilege 15\n/);
    assert.match(before, /\nend$/);
    assert.match(
      before,
      /! Last configuration change at \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} by factory\n/,
    );
    await terminal.type('conf');
    await terminal.type('interface te 1/2');
    await terminal.type('description host# nic> 1 (conf)#');
    await terminal.type('end');
    const after = await terminal.type('show running-config');
    assert.match(after, /! Last configuration change at .* by admin\n/);
    assert.match(after, /\n description host# nic> 1 \(conf\)#\n/);
  });

  it('does show commands from configuration mode, and filters', async () => {
    const { terminal } = await start();
    await terminal.type('conf');
    assert.match(await terminal.type('do show version'), /Dell Application Software Version: {2}9\.14/);
    assert.equal(await terminal.type('do show version | grep Type'), 'System Type: S4048-ON');
    assert.match(await terminal.type('do show running-config | no-more'), /\nend$/);
    assert.match(await terminal.type('do sho vlun'), /^ {19}\^\n/);
  });

  it('pages long output unless told not to', async () => {
    const { terminal } = await start({ terminalLength: 10 });
    terminal.send('show running-config\n');
    const first = await terminal.until(/--More--$/);
    assert.equal(first.split('\r\n').length, 1 + 9 + 1);
    terminal.send(' ');
    await terminal.until(/--More--$/);
    terminal.send('q');
    await terminal.until(/tor-a#$/);
    await terminal.type('terminal length 0');
    assert.doesNotMatch(await terminal.type('show running-config'), /More/);
  });

  it('words its refusals as the firmware does', async () => {
    for (const errorPrefix of ['% Error: ', '%Error: ', 'Error : '] as const) {
      const { terminal } = await start({ knobs: { errorPrefix } });
      assert.equal(await terminal.type('show vlan id 7'), `${errorPrefix}Vlan 7 does not exist.`);
      assert.match(
        await terminal.type('shwo'),
        new RegExp(`\n${errorPrefix}Invalid input at "\\^" marker.$`),
      );
    }
  });

  it('lists tagged or untagged members first', async () => {
    for (const [memberOrder, rows] of [
      ['tagged first', ['T Te 1/2', 'U Te 1/1']],
      ['untagged first', ['U Te 1/1', 'T Te 1/2']],
    ] as const) {
      const { lab, terminal } = await start({ knobs: { memberOrder }, vlans: { 100: 'x' } });
      lab.model.addUntagged(100, 'TenGigabitEthernet 1/1', 'test');
      lab.model.addTagged(100, 'TenGigabitEthernet 1/2', 'test');
      const shown = (await terminal.type('show vlan id 100')).split('\n').slice(-2);
      assert.deepEqual(
        shown.map((row) => row.slice(53)),
        rows,
      );
    }
  });

  it('leaves long port lists on one line where the firmware does', async () => {
    const odd = Array.from({ length: 20 }, (_, i) => `1/${2 * i + 1}`).join(',');
    const { terminal } = await start({ ports: [`Te ${odd}`], knobs: { portLists: 'one line' } });
    assert.ok((await terminal.type('show vlan')).endsWith(`U Te ${odd}`));
  });

  it('shows the switchport state of other ports as an error, or as nothing', async () => {
    const refusing = await start({ prepared: false });
    assert.match(await refusing.terminal.type('show interfaces switchport te 1/1'), /^% Error: /);
    const silent = await start({ prepared: false, knobs: { switchportOfOthers: 'nothing' } });
    const shown = await silent.terminal.type('show interfaces switchport te 1/1');
    assert.match(shown, /Codes: {2}U - Untagged/);
    assert.doesNotMatch(shown, /Name:/);
  });

  it('lists status and description of the ports', async () => {
    const { lab, terminal } = await start({ ports: ['Te 1/1-1/2'] });
    lab.model.setLink('Te 1/2', false);
    await terminal.type('conf');
    await terminal.type('interface te 1/1');
    await terminal.type('description node-07 nic0');
    await terminal.type('end');
    assert.deepEqual((await terminal.type('show interfaces status')).split('\n').slice(1), [
      'Te 1/1               node-07 nic0    Up     10000 Mbit   Full   1',
      'Te 1/2                               Down   Auto         Auto   1',
    ]);
    assert.match(
      await terminal.type('show interfaces description'),
      /^TenGigabitEthernet 1\/1 +YES up +up +node-07 nic0$/m,
    );
    assert.match(
      await terminal.type('show interfaces te 1/2'),
      /^TenGigabitEthernet 1\/2 is down, line protocol is down/,
    );
  });

  it('knows terminal width only where the firmware does', async () => {
    const without = await start();
    assert.match(await without.terminal.type('terminal width 0'), /Invalid input/);
    const having = await start({ knobs: { terminalWidth: true } });
    assert.equal(await having.terminal.type('terminal width 0'), '');
  });

  it('edits lines: backspace, Ctrl-C, Ctrl-Z, CR or LF, type-ahead', async () => {
    const { lab, terminal } = await start();
    terminal.send('shop\b\b\x7fho vlan\r');
    assert.match(await terminal.until(/tor-a#$/), /Q Ports/);
    terminal.send('reload\x03');
    assert.match(await terminal.until(/tor-a#$/), /\^C/);
    terminal.send('conf\r\ninterface vlan 7\r\nend\r\n');
    await terminal.until(/conf-if-vl-7\)#end\r\ntor-a#$/);
    terminal.send('conf\ninterface vlan 7\n\x1a');
    await terminal.until(/\^Z\r\ntor-a#$/);
    assert.deepEqual(lab.transcript.lines(), [
      'sho vlan',
      'conf',
      'interface vlan 7',
      'end',
      'conf',
      'interface vlan 7',
    ]);
  });

  it('breaks the echo at the width of the terminal', async () => {
    const { lab } = await start();
    const narrow = await Terminal.open(lab, { cols: 20 });
    terminals.push(narrow);
    await narrow.until(/tor-a#$/);
    narrow.send(`show ${'x'.repeat(30)}\n`);
    assert.match(await narrow.until(/tor-a#$/), /^show xxxxxxxxx\r\nx{20}\r\nx\r\n/);
  });

  it('configuration lock: keeps others out until its holder is gone', async () => {
    const { lab, terminal } = await start();
    const other = await Terminal.open(lab);
    await other.until(/tor-a#$/);
    await terminal.type('configure terminal lock');
    assert.equal(
      await other.type('configure'),
      '% Error: User "admin" on line vty0 ( 127.0.0.1 ) is in exclusive configuration mode.',
    );
    assert.match(await other.type('show configuration lock'), /User "admin" on line vty0/);
    await terminal.close();
    while (lab.sessions.now > 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await other.promptAfter('configure'), 'tor-a(conf)#');
    await other.close();
  });

  it('reload goes back to what was saved, after its questions', async () => {
    const { lab, terminal } = await start();
    await terminal.type('conf');
    await terminal.type('interface vlan 100');
    await terminal.type('untagged te 1/1');
    await terminal.type('end');
    terminal.send('reload\n');
    await terminal.until(/Save\? \[yes\/no\]: $/);
    terminal.send('no\n');
    await terminal.until(/\[confirm yes\/no\]: $/);
    terminal.send('yes\n');
    await terminal.ended();
    assert.equal(lab.model.effective('Te 1/1').native, 1);
    const again = await Terminal.open(lab);
    await again.until(/tor-a#$/);
    await again.close();
  });

  it('deletes a VLAN, which drops its ports back', async () => {
    const { lab, terminal } = await start({ vlans: { 100: 'x' } });
    await terminal.type('conf');
    await terminal.type('interface vlan 100');
    await terminal.type('untagged te 1/1');
    await terminal.type('exit');
    assert.equal(await terminal.type('no interface vlan 100'), '');
    assert.equal(await terminal.type('no interface vlan 100'), '% Error: Vlan 100 does not exist.');
    assert.match(await terminal.type('no interface vlan 1'), /Default VLAN cannot be deleted/);
    assert.equal(lab.model.effective('Te 1/1').native, 1);
  });
});
