// The calls of gomaasapi (Juju's library), each with its strict schemas: URL, API key, image, and the name of a machine that is
// Ready. One line per step; the first failure ends it.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"time"

	"github.com/juju/gomaasapi/v2"
)

func main() {
	url, key, image, name := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	controller, err := gomaasapi.NewController(gomaasapi.ControllerArgs{BaseURL: url, APIKey: key})
	must("connect", err)
	if !controller.Capabilities().Contains("network-deployment-ubuntu") {
		fail("capabilities", "network-deployment-ubuntu is missing")
	}
	zones, err := controller.Zones()
	must("zones", err)
	need("zones", len(zones) > 0)
	pools, err := controller.Pools()
	must("pools", err)
	need("pools", len(pools) > 0)
	spaces, err := controller.Spaces()
	must("spaces", err)
	need("spaces", len(spaces) > 0)
	fabrics, err := controller.Fabrics()
	must("fabrics", err)
	need("fabrics", len(fabrics) > 0 && len(fabrics[0].VLANs()) > 0)
	_, err = controller.StaticRoutes()
	must("static routes", err)
	domains, err := controller.Domains()
	must("domains", err)
	need("domains", len(domains) > 0)
	resources, err := controller.BootResources()
	must("boot resources", err)
	need("boot resources", len(resources) > 0)
	_, err = controller.Tags()
	must("tags", err)

	files(controller)
	devices(controller)

	machines, err := controller.Machines(gomaasapi.MachinesArgs{Hostnames: []string{name}})
	must("machines", err)
	need("one machine of that name", len(machines) == 1)
	need("Ready", machines[0].StatusName() == "Ready")

	_, _, err = controller.AllocateMachine(gomaasapi.AllocateMachineArgs{Hostname: name, MinCPUCount: 4096})
	need("no match is told as such", gomaasapi.IsNoMatchError(err))
	machine, matches, err := controller.AllocateMachine(gomaasapi.AllocateMachineArgs{
		Hostname:  name,
		AgentName: "juju",
		Storage:   []gomaasapi.StorageSpec{{Label: "root", Size: 0}},
	})
	must("allocate", err)
	need("the storage that matched", len(matches.Storage["root"]) == 1)
	need("Allocated", machine.StatusName() == "Allocated")
	holder, ok := machine.(gomaasapi.OwnerDataHolder)
	need("owner data", ok)
	must("set owner data", holder.SetOwnerData(map[string]string{"juju-model": "m1", "empty": ""}))
	need("owner data kept", holder.OwnerData()["juju-model"] == "m1")

	userData := base64.StdEncoding.EncodeToString([]byte("#cloud-config\n{}\n"))
	must("deploy", machine.Start(gomaasapi.StartArgs{DistroSeries: image, UserData: userData}))
	wait(controller, machine.SystemID(), "Deployed", "Deploying", "Allocated")

	must("release", controller.ReleaseMachines(gomaasapi.ReleaseMachinesArgs{
		SystemIDs: []string{machine.SystemID()},
		Comment:   "interop",
	}))
	wait(controller, machine.SystemID(), "Ready", "Releasing", "Disk erasing")
	fmt.Println("done")
}

func files(controller gomaasapi.Controller) {
	content := []byte("juju\x00state\xff")
	must("add file", controller.AddFile(gomaasapi.AddFileArgs{Filename: "interop.state", Content: content}))
	found, err := controller.Files("interop")
	must("files", err)
	need("one file", len(found) == 1)
	file, err := controller.GetFile("interop.state")
	must("get file", err)
	read, err := file.ReadAll()
	must("read file", err)
	need("the same bytes", string(read) == string(content))
	must("delete file", file.Delete())
	_, err = controller.GetFile("interop.state")
	need("a file that is gone is told as such", gomaasapi.IsNoMatchError(err))
}

func devices(controller gomaasapi.Controller) {
	device, err := controller.CreateDevice(gomaasapi.CreateDeviceArgs{
		Hostname:     "interop-device",
		MACAddresses: []string{"52:54:00:de:00:01"},
	})
	must("create device", err)
	vlan := func() gomaasapi.VLAN {
		fabrics, err := controller.Fabrics()
		must("fabrics", err)
		return fabrics[0].VLANs()[0]
	}()
	_, err = device.CreateInterface(gomaasapi.CreateInterfaceArgs{
		Name: "eth1", MACAddress: "52:54:00:de:00:02", VLAN: vlan,
	})
	must("create interface of device", err)
	found, err := controller.Devices(gomaasapi.DevicesArgs{Hostname: []string{"interop-device"}})
	must("devices", err)
	need("one device with two interfaces", len(found) == 1 && len(found[0].InterfaceSet()) == 2)
	must("delete device", device.Delete())
}

// Polls until the machine has the status; any other than those on the way is a failure.
func wait(controller gomaasapi.Controller, id, wanted string, onTheWay ...string) {
	end := time.Now().Add(2 * time.Minute)
	for {
		machines, err := controller.Machines(gomaasapi.MachinesArgs{SystemIDs: []string{id}})
		must("poll", err)
		need("the machine is still there", len(machines) == 1)
		status := machines[0].StatusName()
		if status == wanted {
			fmt.Println("ok", wanted)
			return
		}
		expected := false
		for _, one := range onTheWay {
			expected = expected || one == status
		}
		if !expected || time.Now().After(end) {
			fail("wait for "+wanted, "the status is "+status+": "+machines[0].StatusMessage())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func must(step string, err error) {
	if err != nil {
		fail(step, err.Error())
	}
	fmt.Println("ok", step)
}

func need(step string, holds bool) {
	if !holds {
		fail(step, "does not hold")
	}
}

func fail(step, why string) {
	fmt.Printf("FAILED %s: %s\n", step, why)
	os.Exit(1)
}
