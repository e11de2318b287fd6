"""python-libmaas against the API: URL, API key, image, name of a machine that is Ready. One line a step; the first failure ends it.

Everything of it is driven by `describe/`, and every body but a GET's is multipart with base64 parts.
"""

import sys

from maas.client import connect
from maas.client.enum import NodeStatus, PowerState
from maas.client.viscera.machines import MachineNotFound

url, key, image, name = sys.argv[1:5]


def ok(step, holds=True):
    if not holds:
        print(f"FAILED {step}: does not hold")
        sys.exit(1)
    print("ok", step)


client = connect(url, apikey=key)
ok("connect")
ok("whoami", client.users.whoami().username != "")
ok("version", client.version.get().version != "")
ok("zones", len(client.zones.list()) > 0)
ok("fabrics", len(client.fabrics.list()) > 0)
ok("subnets", len(client.subnets.list()) > 0)
ok("spaces", len(client.spaces.list()) > 0)
ok("domains", len(client.domains.list()) > 0)
ok("resource pools", len(client.resource_pools.list()) > 0)
ok("boot resources", any(image in one.name for one in client.boot_resources.list()))
ok("rack controllers", len(client.rack_controllers.list()) > 0)
client.ip_ranges.list()
client.static_routes.list()
client.devices.list()
client.boot_sources.list()
client.files.list()
client.ssh_keys.list()
client.events.query()
ok("the other lists")
client.maas.get_name()
ok("setting")

tag = client.tags.create("libmaas-tag", comment="made by libmaas")
ok("create tag", tag.name == "libmaas-tag")

machine = next(one for one in client.machines.list() if one.hostname == name)
ok("machine in the list", machine.status == NodeStatus.READY)
again = client.machines.get(machine.system_id)
ok("machine by id", again.hostname == name and again.cpus > 0 and again.memory > 0)
ok("interfaces", all(one.mac_address for one in again.interfaces))
ok("block devices", len(again.block_devices) > 0 and again.block_devices[0].size > 0)
again.tags.add(tag)
ok("tag machine", any(one.name == "libmaas-tag" for one in client.machines.get(machine.system_id).tags))

try:
    client.machines.allocate(hostname="no-such-machine")
    ok("no machine is told as such", False)
except MachineNotFound:
    ok("no machine is told as such")
allocated = client.machines.allocate(hostname=name, tags=["libmaas-tag"], agent_name="libmaas")
ok("allocate", allocated.status == NodeStatus.ALLOCATED)
deployed = allocated.deploy(
    distro_series=image, user_data=b"#cloud-config\n{}\n", comment="interop", wait=True, wait_interval=0.2
)
ok("deploy", deployed.status == NodeStatus.DEPLOYED and deployed.owner.username != "")
ok("power", deployed.query_power_state() == PowerState.ON)
deployed.lock()
try:
    deployed.release()
    ok("a locked machine is not released", False)
except Exception as error:
    ok("a locked machine is not released", getattr(error, "status", 0) == 409)
deployed.unlock()
released = deployed.release(erase=True, quick_erase=True, comment="interop", wait=True, wait_interval=0.2)
ok("release", released.status in (NodeStatus.READY, NodeStatus.NEW))
tag.delete()
ok("delete tag")
print("done")
