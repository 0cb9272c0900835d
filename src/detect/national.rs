//! Ids that states give to people: the table of their checks by name, each with
//! its source. How they are written, and the words around them, stands in
//! `rules/packs/national-id.toml`.
//!
//! A check sees an id as its capital letters and digits alone. It tells an id
//! from other numbers by all that is known of it: length, ranges, a date,
//! check digits.

mod africa;
mod america;
mod asia;
mod british;
mod central;
mod east;
mod north;
mod south;
mod west;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    /// The structure is right, but many other numbers have it too: a word must
    /// say what it is.
    Plausible,
    /// Check digits or a rare structure hold.
    Checked,
}

/// A check of an id given as capital letters and digits; `None` where it fails.
pub(crate) type Check = fn(&[u8]) -> Option<Strength>;

/// A check that rules name with `validator = "…"`.
#[derive(Debug)]
pub(crate) struct IdKind {
    /// Its name in rule files.
    pub(crate) name: &'static str,
    pub(crate) check: Check,
    /// Where the structure and the algorithm are laid down.
    #[cfg_attr(not(test), allow(dead_code, reason = "it is for the reader; a test looks that none is left out"))]
    pub(crate) source: &'static str,
}

const fn kind(name: &'static str, check: Check, source: &'static str) -> IdKind {
    IdKind { name, check, source }
}

/// All checks by name.
pub(crate) const KINDS: &[IdKind] = &[
    // Europe, the EU first
    kind(
        "at-svnr",
        central::at_svnr,
        "ASVG § 460d; Dachverband der Sozialversicherungsträger: weights 3 7 9 5 8 4 2 1 6 mod 11",
    ),
    kind(
        "be-nn",
        west::be_nn,
        "Royal Decree of 3 April 1984, art. 1: 97 less the rest by 97, with a 2 in front from 2000 on",
    ),
    kind("bg-egn", south::bg_egn, "GRAO, Unified Civil Number: weights 2 4 8 5 10 9 7 3 6 mod 11"),
    kind("cy-tic", south::cy_tic, "OECD CRS TIN sheet, Cyprus: 8 digits and a letter mod 26"),
    kind("cz-rc", central::cz_rc, "Act 133/2000 Coll. § 13 (CZ), Act 301/1995 Z. z. (SK): divisible by 11"),
    kind("de-ausweis", central::de_document, "PAuswV annex; ICAO 9303: weights 7 3 1 mod 10"),
    kind("de-idnr", central::de_idnr, "AO § 139b; BZSt: ISO 7064 MOD 11,10, one digit two or three times"),
    kind("de-kvnr", central::de_kvnr, "SGB V § 290: letter as two digits, Luhn with weights 1 2"),
    kind("de-rvnr", central::de_rvnr, "VKVV § 2 and 4: weights 2 1 2 5 7 1 2 1 2 1 2 1, digit sums mod 10"),
    kind("dk-cpr", north::dk_cpr, "CPR office: date, weights 4 3 2 7 6 5 4 3 2 1 mod 11 (not since 2007)"),
    kind(
        "baltic-code",
        north::baltic_code,
        "EVS 585:2007 (EE), Law I-2237 (LT): weights 1..9 1, then 3..9 1 2 3, mod 11",
    ),
    kind("es-nie", south::es_nie, "Orden INT/2058/2008: X Y Z as 0 1 2, letter by the rest by 23"),
    kind("es-nif", south::es_nif, "Real Decreto 1065/2007 art. 19: letter by the rest by 23"),
    kind("es-nuss", south::es_nuss, "TGSS: the rest by 97"),
    kind("fi-hetu", north::fi_hetu, "Government Decree 128/2010 (separators of 2023): the rest by 31"),
    kind("fr-nir", west::fr_nir, "INSEE, NIR: 97 less the rest by 97; 2A as 19, 2B as 18"),
    kind("fr-spi", west::fr_spi, "OECD CRS TIN sheet, France: the rest by 511"),
    kind("gr-afm", south::gr_afm, "AADE: powers of two mod 11 mod 10"),
    kind("gr-amka", south::gr_amka, "Law 3655/2008 art. 153: date, Luhn"),
    kind("hr-oib", south::hr_oib, "Zakon o OIB (NN 60/08): ISO 7064 MOD 11,10"),
    kind("hu-ado", central::hu_ado, "Act XX of 1996, annex: places 1 to 9 mod 11"),
    kind("hu-szemelyi", central::hu_szemelyi, "Act XX of 1996, annex: places mod 11, turned round from 1997 on"),
    kind("hu-taj", central::hu_taj, "Act XX of 1996, annex: weights 3 7 mod 10"),
    kind("ie-ppsn", british::ie_ppsn, "Revenue, Tax Reference Numbers: weights 8..2, second letter 9, mod 23"),
    kind("it-cf", south::it_cf, "DM 23 dicembre 1976, with the substitution of digits (omocodia)"),
    kind("jmbg", south::jmbg, "Uniform JMBG of 1977 (SI EMSO, RS, BA, ME, MK): weights 7 6 5 4 3 2 mod 11"),
    kind("lu-matricule", west::lu_matricule, "Règlement grand-ducal du 21 décembre 1987: Luhn and Verhoeff"),
    kind("lv-pk", north::lv_pk, "PMLP, personas kods: weights 10 5 8 4 2 1 6 3 7 9 mod 11"),
    kind("mt-id", south::mt_id, "Identity Malta: up to seven digits and one of A B G H L M P Z"),
    kind("nl-bsn", west::nl_bsn, "Wet algemene bepalingen burgerservicenummer: weights 9..2 -1 mod 11"),
    kind("pl-dowod", central::pl_dowod, "Rozporządzenie MSWiA on identity cards: weights 7 3 1 9 7 3 1 7 3 mod 10"),
    kind("pl-nip", central::pl_nip, "Ministry of Finance: weights 6 5 7 2 3 4 5 6 7 mod 11"),
    kind("pl-paszport", central::pl_paszport, "Ministry of the Interior: weights 7 3 9 1 7 3 1 7 3 mod 10"),
    kind(
        "pl-pesel",
        central::pl_pesel,
        "Ustawa o ewidencji ludności art. 15: weights 1 3 7 9 mod 10, century in the month",
    ),
    kind("pt-cc", south::pt_cc, "IRN, Cartão de Cidadão: Luhn over digits and letters"),
    kind("pt-nif", south::pt_nif, "Decreto-Lei 14/2013: weights 9..2 mod 11; people start with 1, 2, 3, 45"),
    kind("ro-cnp", central::ro_cnp, "OUG 97/2005: weights 2 7 9 1 4 6 3 5 8 2 7 9 mod 11"),
    kind(
        "se-pnr",
        north::se_pnr,
        "Folkbokföringslag 1991:481 § 18; Skatteverket: date (60 added in a samordningsnummer), Luhn",
    ),
    // The rest of Europe
    kind("ch-ahv", west::ch_ahv, "AHVV art. 133: 756 and the EAN-13 check digit"),
    kind("gb-driving", british::gb_driving, "DVLA: name, year, month, day, year, initials"),
    kind("gb-nhs", british::gb_nhs, "NHS Data Dictionary: weights 10..2 mod 11"),
    kind("gb-nino", british::gb_nino, "HMRC NIM39110: prefixes, suffix A to D"),
    kind("gb-utr", british::gb_utr, "HMRC, UTR: weights 6 7 8 9 10 5 4 3 2 mod 11"),
    kind("is-kennitala", north::is_kennitala, "Registers Iceland: weights 3 2 7 6 5 4 3 2 mod 11"),
    kind("no-fnr", north::no_fnr, "Skatteetaten: date (40 added in D and H numbers), two sums mod 11"),
    kind("tr-tckn", east::tr_tckn, "Nüfus Hizmetleri: odd and even places, two check digits"),
    kind("ua-rnokpp", east::ua_rnokpp, "State Tax Service: weights -1 5 7 9 4 6 10 5 7 mod 11"),
    kind("ru-inn", east::ru_inn, "FNS order MMV-7-6/435: two sums mod 11"),
    kind("ru-snils", east::ru_snils, "SFR: places 9..1 mod 101"),
    kind("kz-iin", east::kz_iin, "Law 223-III: date, two rounds of weights mod 11"),
    // The Americas
    kind("us-itin", america::us_itin, "IRS: 9, fourth and fifth digit 50-65, 70-88, 90-92, 94-99"),
    kind("us-ssn", america::us_ssn, "SSA POMS RM 10201: no area 000, 666, 9xx, no group 00, no serial 0000"),
    kind("ca-sin", america::ca_sin, "Service Canada: Luhn"),
    kind("mx-curp", america::mx_curp, "RENAPO, Instructivo normativo CURP: base 37 with weights 18..2 mod 10"),
    kind("br-cpf", america::br_cpf, "Receita Federal IN 1548/2015: two sums mod 11"),
    kind("ar-cuil", america::ar_cuil, "ANSES: weights 5 4 3 2 7 6 5 4 3 2 mod 11"),
    kind("cl-rut", america::cl_rut, "Registro Civil: weights 2..7 mod 11, K for ten"),
    kind("ec-cedula", america::ec_cedula, "Registro Civil: province, Luhn"),
    kind("uy-ci", america::uy_ci, "DNIC: weights 2 9 8 7 6 3 4 mod 10"),
    kind("do-cedula", america::do_cedula, "JCE: Luhn"),
    // Asia and Oceania
    kind("au-medicare", asia::au_medicare, "Services Australia: weights 1 3 7 9 mod 10"),
    kind("au-tfn", asia::au_tfn, "ATO: weights 1 4 3 7 5 8 6 9 10 mod 11"),
    kind("ae-eid", asia::ae_eid, "ICP: 784, year, Luhn"),
    kind("cn-ric", asia::cn_ric, "GB 11643-1999: province, date, ISO 7064 MOD 11-2"),
    kind("hk-hkid", asia::hk_hkid, "Immigration Department: weights 9..1 mod 11"),
    kind("id-nik", asia::id_nik, "Permendagri 102/2019: region, date (40 added for women)"),
    kind("il-id", asia::il_id, "Population and Immigration Authority: Luhn"),
    kind("in-aadhaar", asia::in_aadhaar, "UIDAI: first digit 2 to 9, Verhoeff"),
    kind("in-pan", asia::in_pan, "Income-tax Rules 114: fourth letter P for a person"),
    kind("jp-mynumber", asia::jp_mynumber, "MIC ordinance 85 of 2014: weights 6 5 4 3 2 7 6 5 4 3 2 mod 11"),
    kind("kr-rrn", asia::kr_rrn, "Resident Registration Act: date, sex, weights 2..9 2..5 mod 11"),
    kind("my-nric", asia::my_nric, "JPN: date, place of birth"),
    kind("pk-cnic", asia::pk_cnic, "NADRA: region 1 to 8"),
    kind("sg-nric", asia::sg_nric, "ICA: weights 2 7 6 5 4 3 2, offset by series, mod 11"),
    kind("th-id", asia::th_id, "DOPA: weights 13..2 mod 11"),
    // Africa
    kind("eg-id", africa::eg_id, "Civil Status Organization: century, date, governorate"),
    kind("za-id", africa::za_id, "Identification Act 68 of 1997: date, citizenship, Luhn"),
];

/// Looks a check up by its name in rule files.
pub(crate) fn kind_named(name: &str) -> Option<&'static IdKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

fn checked(holds: bool) -> Option<Strength> {
    holds.then_some(Strength::Checked)
}

#[cfg(test)]
mod tests;
