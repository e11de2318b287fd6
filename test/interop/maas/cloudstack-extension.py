"""The calls that CloudStack's MaaS extension makes, in its manner: requests-oauthlib's defaults (HMAC-SHA1 in the header), urlencoded
bodies with `op` among the fields. URL, API key, image, name of a machine that is Ready. One line a step; the first failure ends it.
"""

import sys
import time

from requests_oauthlib import OAuth1Session

url, key, image, name = sys.argv[1:5]
consumer, token, secret = key.split(":")
base = f"{url}/api/2.0"
session = OAuth1Session(consumer, resource_owner_key=token, resource_owner_secret=secret)


def call(method, path, data=None, status=200):
    answer = session.request(method, f"{base}{path}", data=data)
    if answer.status_code != status:
        print(f"FAILED {method} {path} {data}: {answer.status_code} {answer.text[:500]}")
        sys.exit(1)
    print("ok", method, path, (data or {}).get("op", ""))
    return answer.json() if answer.content and status == 200 else None


def wait(system_id, wanted):
    end = time.monotonic() + 120
    while True:
        machine = session.get(f"{base}/machines/{system_id}/").json()
        if machine["status_name"] == wanted:
            print("ok", wanted)
            return machine
        if machine["status_name"].startswith("Failed") or time.monotonic() > end:
            print(f"FAILED wait for {wanted}: {machine['status_name']} {machine['status_message']}")
            sys.exit(1)
        time.sleep(0.1)


machines = call("GET", "/machines/")
ready = [one for one in machines if one["status_name"] == "Ready" and one["hostname"] == name]
if len(ready) != 1:
    print(f"FAILED the list has {len(ready)} ready machines of that name")
    sys.exit(1)
system_id = ready[0]["system_id"]
if not ready[0]["interface_set"][0]["mac_address"]:
    print("FAILED the first interface has no MAC")
    sys.exit(1)
call("GET", f"/machines/{system_id}/")
call("POST", f"/machines/{system_id}/", {"op": "deploy", "distro_series": image, "userdata": "#cloud-config\nlines: 'a & b'\n"})
wait(system_id, "Deployed")
call("POST", f"/machines/{system_id}/", {"op": "power_off"})
call("POST", f"/machines/{system_id}/", {"op": "power_on"})
call("POST", f"/machines/{system_id}/", {"op": "power_cycle"})
if call("GET", f"/machines/{system_id}/")["status_name"] != "Deployed":
    print("FAILED it is not Deployed any more")
    sys.exit(1)
call("POST", f"/machines/{system_id}/", {"op": "release"})
wait(system_id, "Ready")
call("GET", "/machines/no-one/", status=404)
wrong = OAuth1Session(consumer, resource_owner_key=token, resource_owner_secret="wrong" + secret)
answer = wrong.get(f"{base}/machines/")
if answer.status_code != 401 or secret in answer.text:
    print(f"FAILED a wrong secret: {answer.status_code}")
    sys.exit(1)
print("done")
