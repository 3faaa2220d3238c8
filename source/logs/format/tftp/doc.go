// Package tftp has the formats of TFTP servers: tftpd-hpa, atftpd and dnsmasq, one file each. What holds for all formats stands in the room above. It is pure.
package tftp
