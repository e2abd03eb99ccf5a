/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces for programs: what ifconfig and netstat do.
 */
#include <errno.h>
#include <string.h>

#include "sim/macos/bsd/netinterface.h"

/* ---- media, as ifconfig names them ---- */

#define MEDIUM_TYPE 0x1fu

static void medium_text(const IONetworkMedium *medium, char *text, size_t len)
{
	static const struct {
		IOMediumType type;
		const char *name;
	} names[] = {
		{kIOMediumEthernetAuto, "autoselect"},
		{kIOMediumEthernetNone, "none"},
		{kIOMediumEthernet10BaseT, "10baseT/UTP"},
		{kIOMediumEthernet100BaseTX, "100baseTX"},
		{kIOMediumEthernet1000BaseT, "1000baseT"},
		{kIOMediumEthernet10GBaseT, "10GbaseT"},
	};
	IOMediumType type = medium ? medium->getType() : IOMediumType{kIOMediumEthernetNone};
	const char *name = "unknown";

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((names[i].type & MEDIUM_TYPE) == (type & MEDIUM_TYPE))
			name = names[i].name;
	}
	/* A medium with every option may be cut off. */
	if (snprintf(text, len, "%s%s%s", name,
		     type & kIOMediumOptionFullDuplex	? " <full-duplex>"
		     : type & kIOMediumOptionHalfDuplex ? " <half-duplex>"
							: "",
		     type & kIOMediumOptionFlowControl ? " <flow-control>" : "") < 0)
		text[0] = '\0';
}

/* Properties change at any time: whoever looks at one holds on to it. */
static void medium_property(IONetworkController *controller, const char *key,
			    const OSDictionary *media, char *text, size_t len)
{
	OSObject *value = controller->copyProperty(key);
	OSString *name = OSDynamicCast(OSString, value);

	medium_text(name && media ? OSDynamicCast(IONetworkMedium, media->getObject(name))
				  : nullptr,
		    text, len);
	if (value)
		value->release();
}

/* ---- state ---- */

static uint64_t number_of(IONetworkController *controller, const char *key)
{
	OSObject *value = controller->copyProperty(key);
	OSNumber *number = OSDynamicCast(OSNumber, value);
	uint64_t n = number ? number->unsigned64BitValue() : 0;

	if (value)
		value->release();
	return n;
}

static void link_state(IONetworkController *controller, struct mac_if_state *out)
{
	uint64_t status = number_of(controller, SIM_KEY_LINK_STATUS);
	OSDictionary *media = controller->copyMediumDictionary();
	IOOutputQueue *queue = controller->getOutputQueue();
	IONetworkData *data = queue ? queue->getStatisticsData() : nullptr;
	const void *counters = data ? data->getBuffer() : nullptr;

	out->link_valid = (status & kIONetworkLinkValid) != 0;
	out->link_active = (status & kIONetworkLinkActive) != 0;
	out->speed = number_of(controller, SIM_KEY_LINK_SPEED);
	medium_property(controller, SIM_KEY_SELECTED_MEDIUM, media, out->selected,
			sizeof(out->selected));
	medium_property(controller, SIM_KEY_ACTIVE_MEDIUM, media, out->active, sizeof(out->active));
	if (media)
		media->release();
	if (counters)
		out->odropped = static_cast<const IOOutputQueueStats *>(counters)->dropCount;
}

void mac_if_state(struct mac_if *ifp, struct mac_if_state *out)
{
	*out = {};
	sim_enter("mac_if_state");
	if (sim_ifnet_hold(ifp)) {
		IONetworkStack::count(ifp);
		link_state(ifp->netif->getController(), out);
		sim_ifnet_drop(ifp);
	}
	pthread_mutex_lock(&ifp->lock);
	memcpy(out->name, ifp->name, sizeof(out->name));
	memcpy(out->mac, ifp->mac, sizeof(out->mac));
	out->up = (ifp->flags & IFF_UP) != 0;
	out->running = (ifp->flags & IFF_RUNNING) != 0;
	out->mtu = ifp->mtu;
	out->csum4 = (ifp->assist & (ASSIST_TCP | ASSIST_UDP)) == (ASSIST_TCP | ASSIST_UDP);
	out->csum6 = (ifp->assist & (ASSIST_TCPIPV6 | ASSIST_UDPIPV6)) ==
		     (ASSIST_TCPIPV6 | ASSIST_UDPIPV6);
	out->tso4 = (ifp->assist & ASSIST_TSO4) != 0;
	out->tso6 = (ifp->assist & ASSIST_TSO6) != 0;
	out->vlan_mtu = (ifp->assist & ASSIST_VLAN_MTU) != 0;
	out->ipackets = ifp->ipackets;
	out->ierrors = ifp->ierrors;
	out->ibytes = ifp->ibytes;
	out->opackets = ifp->opackets;
	out->oerrors = ifp->oerrors;
	out->obytes = ifp->obytes;
	out->link_ons = ifp->link_ons;
	out->link_offs = ifp->link_offs;
	pthread_mutex_unlock(&ifp->lock);
	sim_exit();
}

unsigned mac_if_queued(struct mac_if *ifp)
{
	IOOutputQueue *queue;
	unsigned n = 0;

	sim_enter("mac_if_queued");
	if (sim_ifnet_hold(ifp)) {
		queue = ifp->netif->getController()->getOutputQueue();
		n = queue ? sim_queue_length(queue) : 0;
		sim_ifnet_drop(ifp);
	}
	sim_exit();
	return n;
}

/* ---- ioctls ---- */

/* As errno here has it. EPWROFF has no name here, and keeps Darwin's number. */
static int error_here(int darwin)
{
	switch (darwin) {
	case DARWIN_ENETDOWN:
		return -ENETDOWN;
	case DARWIN_ENOBUFS:
		return -ENOBUFS;
	case DARWIN_EOPNOTSUPP:
		return -EOPNOTSUPP;
	default:
		return -darwin;
	}
}

static int command(struct mac_if *ifp, unsigned long request, void *data)
{
	int err;

	if (!sim_ifnet_hold(ifp))
		return -ENXIO;
	err = IONetworkStack::command(ifp, request, data);
	sim_ifnet_drop(ifp);
	return error_here(err);
}

/* [XNU-IF-29] Flags change first, then the driver hears of it; an error does not undo them. */
static int change_flags(struct mac_if *ifp, uint32_t set, uint32_t clear)
{
	pthread_mutex_lock(&ifp->lock);
	ifp->flags = (ifp->flags | set) & ~clear;
	pthread_mutex_unlock(&ifp->lock);
	return command(ifp, SIOCSIFFLAGS, nullptr);
}

int mac_if_up(struct mac_if *ifp)
{
	int err;

	sim_enter("mac_if_up");
	err = change_flags(ifp, IFF_UP, 0);
	sim_exit();
	return err;
}

int mac_if_down(struct mac_if *ifp)
{
	int err;

	sim_enter("mac_if_down");
	err = change_flags(ifp, 0, IFF_UP);
	sim_exit();
	return err;
}

/* [XNU-IF-30] Promiscuous mode counts its users; the driver hears of the first and the last. */
int mac_if_promisc(struct mac_if *ifp, bool on)
{
	bool edge;
	int err = 0;

	sim_enter("mac_if_promisc");
	pthread_mutex_lock(&ifp->lock);
	if (!on && ifp->promisc == 0)
		err = -EINVAL;
	edge = on ? ifp->promisc == 0 : ifp->promisc == 1;
	if (err == 0)
		ifp->promisc = on ? ifp->promisc + 1 : ifp->promisc - 1;
	pthread_mutex_unlock(&ifp->lock);
	if (err == 0 && edge)
		err = change_flags(ifp, on ? IFF_PROMISC : 0, on ? 0 : IFF_PROMISC);
	sim_exit();
	return err;
}

int mac_if_allmulti(struct mac_if *ifp, bool on)
{
	int err;

	sim_enter("mac_if_allmulti");
	err = change_flags(ifp, on ? IFF_ALLMULTI : 0, on ? 0 : IFF_ALLMULTI);
	sim_exit();
	return err;
}

/* The list with one user more or less: 1 if it changed, or a negative errno. */
static int multi_list(struct mac_if *ifp, const uint8_t mac[6], bool join)
{
	unsigned i = 0;

	while (i < ifp->nmulti && memcmp(ifp->multi[i], mac, 6) != 0)
		i++;
	if (i < ifp->nmulti && join) {
		ifp->multi_users[i]++;
		return 0;
	}
	if (i < ifp->nmulti) {
		if (--ifp->multi_users[i])
			return 0;
		ifp->nmulti--;
		memcpy(ifp->multi[i], ifp->multi[ifp->nmulti], 6);
		ifp->multi_users[i] = ifp->multi_users[ifp->nmulti];
		return 1;
	}
	if (!join)
		return -ENOENT;
	if (ifp->nmulti == MULTI_MAX)
		return -ENOMEM;
	memcpy(ifp->multi[i], mac, 6);
	ifp->multi_users[i] = 1;
	ifp->nmulti++;
	return 1;
}

/* [XNU-IF-31] An address has users; the driver gets the list when the first comes, the last goes.
 */
int mac_if_multicast(struct mac_if *ifp, const uint8_t mac[6], bool join)
{
	int err;

	if (!(mac[0] & 1))
		return -EINVAL;
	sim_enter("mac_if_multicast");
	pthread_mutex_lock(&ifp->lock);
	err = multi_list(ifp, mac, join);
	pthread_mutex_unlock(&ifp->lock);
	if (err == 1)
		err = command(ifp, join ? SIOCADDMULTI : SIOCDELMULTI, nullptr);
	sim_exit();
	return err;
}

int mac_if_mtu(struct mac_if *ifp, uint32_t mtu)
{
	UInt32 value = mtu;
	int err;

	sim_enter("mac_if_mtu");
	err = command(ifp, SIOCSIFMTU, &value);
	sim_exit();
	return err;
}

int mac_if_lladdr(struct mac_if *ifp, const uint8_t mac[6])
{
	uint8_t copy[6];
	int err;

	sim_enter("mac_if_lladdr");
	memcpy(copy, mac, sizeof(copy));
	err = command(ifp, SIOCSIFLLADDR, copy);
	sim_exit();
	return err;
}

/* The medium that ifconfig would show under this name; 0: none. */
static IONetworkMedium *medium_find(const OSDictionary *media, const char *text)
{
	OSCollectionIterator *each = media ? OSCollectionIterator::withCollection(media) : nullptr;
	IONetworkMedium *found = nullptr;
	char name[32];

	while (each && !found) {
		OSSymbol *key = OSDynamicCast(OSSymbol, each->getNextObject());

		if (!key)
			break;
		found = OSDynamicCast(IONetworkMedium, media->getObject(key));
		medium_text(found, name, sizeof(name));
		if (found && strcmp(name, text) != 0)
			found = nullptr;
	}
	if (each)
		each->release();
	return found;
}

int mac_if_media(struct mac_if *ifp, const char *medium)
{
	IONetworkMedium *found;
	OSDictionary *media;
	int err = -ENXIO;

	sim_enter("mac_if_media");
	if (sim_ifnet_hold(ifp)) {
		media = ifp->netif->getController()->copyMediumDictionary();
		found = medium_find(media, medium);
		if (found)
			err = error_here(IONetworkStack::command(ifp, SIOCSIFMEDIA, found));
		if (media)
			media->release();
		sim_ifnet_drop(ifp);
	}
	sim_exit();
	return err;
}
