# shellcheck shell=dash
# What disks can do themselves. `secure_ability NAME` prints nvme, ata, or why there is none; `secure_erase NAME ABILITY`
# prints the method.

secure_ability() {
  local oacs security
  case $1 in
    nvme*)
      # Identify controller, OACS bit 1: Format NVM (NVM Express base specification).
      oacs=$(nvme id-ctrl "$(device "$1")" -o json 2>/dev/null | jq -r '.oacs // 0')
      if [ $((${oacs:-0} / 2 % 2)) = 1 ]; then echo nvme; else echo 'no secure erase'; fi
      ;;
    sd*)
      # The security set of an ATA disk; most firmware freezes it, and then only a power cycle of the disk helps.
      security=$(hdparm -I "$(device "$1")" 2>/dev/null | sed -n '/^Security:/,/^[A-Z]/p' | tr -s '\t ' ' ' | sed 's/^ //; s/ $//')
      if ! echo "$security" | grep -qx 'supported'; then
        echo 'no secure erase'
      elif echo "$security" | grep -qx 'frozen'; then
        echo 'ATA security is frozen'
      else
        echo ata
      fi
      ;;
    *) echo 'no secure erase' ;;
  esac
}

secure_erase() {
  local disk
  disk=$(device "$1")
  case $2 in
    nvme)
      # Secure erase setting 1: all user data, whatever the format is.
      nvme format "$disk" --ses=1 --force >>"$LOG" 2>&1 && echo nvme-format-ses1
      ;;
    ata)
      # The disk asks for a password before it may be erased, and forgets it with the data. One whose erase was cut is locked with
      # it, and takes no other: all that helps is to erase it.
      hdparm --user-master u --security-set-pass csbm "$disk" >>"$LOG" 2>&1
      if hdparm --user-master u --security-erase csbm "$disk" >>"$LOG" 2>&1; then
        echo ata-security-erase
      else
        hdparm --user-master u --security-disable csbm "$disk" >>"$LOG" 2>&1
        return 1
      fi
      ;;
    *) return 1 ;;
  esac
}
