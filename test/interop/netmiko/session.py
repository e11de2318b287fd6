"""Talks to one switch with Netmiko's dell_force10 driver; reads a job as JSON on stdin, prints what came back as JSON."""
import json
import sys

from netmiko import ConnectHandler
from paramiko.ssh_exception import AuthenticationException

job = json.load(sys.stdin)
result = {}
try:
    connection = ConnectHandler(device_type="dell_force10", **job["device"])
except AuthenticationException:  # the base of Netmiko's own, whose name differs by release
    print(json.dumps({"refused": True}))
    sys.exit(0)

result["prompt"] = connection.find_prompt()
connection.enable()
result["enabled"] = connection.find_prompt()
for step in job["steps"]:
    if "config" in step:
        answer = connection.send_config_set(step["config"])
    elif "save" in step:
        answer = connection.save_config()
    else:
        answer = connection.send_command(step["command"])
    result.setdefault("answers", []).append(answer)
connection.disconnect()
print(json.dumps(result))
