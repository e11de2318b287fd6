// The calls of gomaasclient, as the terraform provider makes them: URL, API key, image, the name of a machine that is Ready, and
// the VLAN that it shall be deployed on. One line per step; the first failure ends it.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/canonical/gomaasclient/client"
	"github.com/canonical/gomaasclient/entity"
)

func main() {
	url, key, image, name := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	vid, err := strconv.Atoi(os.Args[5])
	must("vlan", err)
	maas, err := client.GetClient(url, key, "2.0")
	must("connect", err)
	me, err := maas.Users.Get()
	must("users", err)
	need("users", len(me) > 0)

	catalogue(maas)
	subnet := networks(maas, name, vid)
	machineLife(maas, name, image, vid, subnet)
	fmt.Println("done")
}

// What terraform makes, reads and deletes that is no machine.
func catalogue(maas *client.Client) {
	zone, err := maas.Zones.Create(&entity.ZoneParams{Name: "interop-zone", Description: "d"})
	must("create zone", err)
	_, err = maas.Zone.Update(zone.Name, &entity.ZoneParams{Name: "interop-zone", Description: "e"})
	must("update zone", err)
	must("delete zone", maas.Zone.Delete("interop-zone"))

	pool, err := maas.ResourcePools.Create(&entity.ResourcePoolParams{Name: "interop-pool", Description: "d"})
	must("create pool", err)
	again, err := maas.ResourcePool.Get(pool.ID)
	must("pool", err)
	need("the pool's name", again.Name == "interop-pool")
	must("delete pool", maas.ResourcePool.Delete(pool.ID))

	domain, err := maas.Domains.Create(&entity.DomainParams{Name: "interop.example", TTL: 60, Authoritative: true})
	must("create domain", err)
	record, err := maas.DNSResourceRecords.Create(&entity.DNSResourceRecordParams{
		FQDN: "www.interop.example", RRType: "TXT", RRData: "text", TTL: 60,
	})
	must("create dns record", err)
	must("delete dns record", maas.DNSResourceRecord.Delete(record.ID))
	must("delete domain", maas.Domain.Delete(domain.ID))

	_, err = maas.Tags.Create(&entity.TagParams{Name: "interop-tag", Comment: "c"})
	must("create tag", err)
	user, err := maas.Users.Create(&entity.UserParams{
		UserName: "interop-user", Password: "not-a-real-password", Email: "nobody@example.org",
	})
	must("create user", err)
	need("no administrator", !user.IsSuperUser)
	must("delete user", maas.User.Delete("interop-user"))

	space, err := maas.Spaces.Create("interop-space")
	must("create space", err)
	must("delete space", maas.Space.Delete(space.ID))

	device, err := maas.Devices.Create(&entity.DeviceCreateParams{
		Hostname: "interop-device", MacAddresses: []string{"52:54:00:de:00:03"},
	})
	must("create device", err)
	must("delete device", maas.Device.Delete(device.SystemID))

	racks, err := maas.RackControllers.Get(&entity.RackControllersGetParams{})
	must("rack controllers", err)
	need("a rack controller", len(racks) > 0)
	_, err = maas.MAASServer.Get("default_distro_series")
	must("setting", err)
	_, err = maas.Events.Get(&entity.EventParams{})
	must("events", err)
	resources, err := maas.BootResources.Get(&entity.BootResourcesReadParams{})
	must("boot resources", err)
	need("a boot resource", len(resources) > 0)
	token, err := maas.Account.CreateAuthorisationToken("interop")
	must("create key", err)
	must("delete key", maas.Account.DeleteAuthorisationToken(token.TokenKey))
}

// The tenant's VLAN in the machine's fabric, with a subnet; gives the subnet's id.
func networks(maas *client.Client, name string, vid int) int {
	spare, err := maas.Fabrics.Create(&entity.FabricParams{Name: "interop-fabric"})
	must("create fabric", err)
	must("delete fabric", maas.Fabric.Delete(spare.ID))
	fabrics, err := maas.Fabrics.Get()
	must("fabrics", err)
	need("a fabric", len(fabrics) > 0)
	machines, err := maas.Machines.Get(&entity.MachinesParams{Hostname: []string{name}})
	must("machines", err)
	need("one machine of that name", len(machines) == 1)
	fabric := machines[0].BootInterface.VLAN.FabricID
	vlan, err := maas.VLANs.Create(fabric, &entity.VLANParams{VID: vid, Name: "interop"})
	must("create vlan", err)
	read, err := maas.VLAN.Get(fabric, vid)
	must("vlan", err)
	need("the same vlan", read.ID == vlan.ID && read.VID == vid)
	subnet, err := maas.Subnets.Create(&entity.SubnetParams{
		CIDR: "10.99.0.0/24", Name: "interop", VLAN: strconv.Itoa(vlan.ID), GatewayIP: "10.99.0.1", Managed: true,
	})
	must("create subnet", err)
	need("the subnet's vlan", subnet.VLAN.VID == vid)
	ipRange, err := maas.IPRanges.Create(&entity.IPRangeParams{
		Type: "reserved", Subnet: strconv.Itoa(subnet.ID), StartIP: "10.99.0.10", EndIP: "10.99.0.20",
	})
	must("create ip range", err)
	must("delete ip range", maas.IPRange.Delete(ipRange.ID))
	return subnet.ID
}

func machineLife(maas *client.Client, name, image string, vid, subnet int) {
	machines, err := maas.Machines.Get(&entity.MachinesParams{Hostname: []string{name}})
	must("machines", err)
	need("one machine of that name", len(machines) == 1)
	id := machines[0].SystemID
	must("tag machine", maas.Tag.AddMachines("interop-tag", []string{id}))
	tagged, err := maas.Tag.GetMachines("interop-tag")
	must("tagged machines", err)
	need("one tagged machine", len(tagged) == 1)

	parents := []int{}
	interfaces, err := maas.NetworkInterfaces.Get(id)
	must("interfaces", err)
	for _, one := range interfaces {
		if one.Type == "physical" {
			parents = append(parents, one.ID)
		}
	}
	bond, err := maas.NetworkInterfaces.CreateBond(id, &entity.NetworkInterfaceBondParams{
		Name: "bond0", Parents: parents, BondMode: "active-backup",
	})
	must("create bond", err)
	need("a link of the bond", len(bond.Links) > 0)
	for _, link := range bond.Links {
		_, err = maas.NetworkInterface.UnlinkSubnet(id, bond.ID, link.ID)
		must("unlink bond", err)
	}
	linked, err := maas.NetworkInterface.LinkSubnet(id, bond.ID, &entity.NetworkInterfaceLinkParams{
		Mode: "DHCP", Subnet: subnet, Force: true,
	})
	must("link bond", err)
	need("the bond's vlan", linked.VLAN.VID == vid)

	allocated, err := maas.Machines.Allocate(&entity.MachineAllocateParams{Name: name, Tags: []string{"interop-tag"}})
	must("allocate", err)
	need("the machine that was asked for", allocated.SystemID == id)
	deploying, err := maas.Machine.Deploy(id, &entity.MachineDeployParams{DistroSeries: image})
	must("deploy", err)
	need("Deploying", deploying.StatusName == "Deploying")
	wait(maas, id, "Deployed", "Deploying")
	state, err := maas.Machine.GetPowerState(id)
	must("power state", err)
	need("on", state.State == "on")
	parameters, err := maas.Machine.GetPowerParameters(id)
	must("power parameters", err)
	need("an address", parameters["power_address"] != nil)

	must("release", maas.Machines.Release([]string{id}, "interop"))
	// The terraform provider waits through these only.
	wait(maas, id, "Ready", "Releasing")
	must("delete tag", maas.Tag.Delete("interop-tag"))
}

func wait(maas *client.Client, id, wanted string, onTheWay ...string) {
	end := time.Now().Add(2 * time.Minute)
	for {
		machine, err := maas.Machine.Get(id)
		must("poll", err)
		if machine.StatusName == wanted {
			fmt.Println("ok", wanted)
			return
		}
		expected := false
		for _, one := range onTheWay {
			expected = expected || one == machine.StatusName
		}
		if !expected || time.Now().After(end) {
			fail("wait for "+wanted, "the status is "+machine.StatusName+": "+machine.StatusMessage)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func must(step string, err error) {
	if err != nil {
		fail(step, err.Error())
	}
	if step != "poll" {
		fmt.Println("ok", step)
	}
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
