// Five sites that leak known bytes, from very small blocks to very big ones. sites.json has the sums.
#ifndef SITES_H_
#define SITES_H_

void leak_61(void);
void leak_1021(void);
void leak_16381(void);
void leak_262139(void);
void leak_1048583(void);

#endif
