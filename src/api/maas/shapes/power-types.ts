interface Field {
  readonly name: string;
  readonly label: string;
  readonly required?: boolean;
  readonly secret?: boolean;
  readonly choices?: readonly (readonly [value: string, label: string])[];
  readonly otherwise?: string;
}

const field = ({ name, label, required = false, secret = false, choices = [], otherwise = '' }: Field) => ({
  name,
  label,
  required,
  field_type: choices.length > 0 ? 'choice' : secret ? 'password' : 'string',
  choices,
  default: otherwise,
  scope: 'bmc',
  secret,
});

/** How the power of machines can be switched here, in MAAS's words. */
export const powerTypesJson = [
  {
    driver_type: 'power',
    name: 'ipmi',
    description: 'IPMI',
    chassis: false,
    can_probe: false,
    queryable: true,
    missing_packages: [],
    fields: [
      {
        name: 'power_driver',
        label: 'Power driver',
        choices: [['LAN_2_0', 'LAN_2_0 [IPMI 2.0]'] as const],
        otherwise: 'LAN_2_0',
      },
      {
        name: 'power_boot_type',
        label: 'Power boot type',
        choices: [
          ['auto', 'Automatic'] as const,
          ['legacy', 'Legacy boot'] as const,
          ['efi', 'EFI boot'] as const,
        ],
        otherwise: 'auto',
      },
      { name: 'power_address', label: 'IP address', required: true },
      { name: 'power_user', label: 'Power user' },
      { name: 'power_pass', label: 'Power password', secret: true },
      { name: 'k_g', label: 'K_g BMC key', secret: true },
      {
        name: 'cipher_suite_id',
        label: 'Cipher Suite ID',
        choices: [['17', '17 - HMAC-SHA256'] as const, ['3', '3 - HMAC-SHA1'] as const],
        otherwise: '17',
      },
      {
        name: 'privilege_level',
        label: 'Privilege Level',
        choices: [['OPERATOR', 'Operator'] as const, ['ADMIN', 'Administrator'] as const],
        otherwise: 'OPERATOR',
      },
    ].map(field),
  },
];
